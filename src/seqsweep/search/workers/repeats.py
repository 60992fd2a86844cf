"""One trial under several seeds: its jobs wait for each other, and the pruner sees their mean."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from seqsweep.outcome import INTERRUPTED, Completed, Failed, Misfit, Outcome, Pruned
from seqsweep.process.messages import Judge, Point, Report
from seqsweep.search.workers.attempt import Attempt, Interrupt, ended_truly

# Hears the mean of the repeats' metrics at a step; gives True where they are to stop.
OnMean = Callable[[Judge], bool]
LOOK_S = 0.2  # how often one that waits looks whether its process is still there
SIBLING = Failed("another seed of this trial failed")


class Together:
    """Lets several jobs be judged as one.

    One that asks waits until all others that still go on have asked too; then the mean of what each
    said last is judged, at the lowest step that waits. One that has ended stands in the mean with
    what it said last.
    """

    def __init__(self, count: int, on_mean: OnMean) -> None:
        self._on_mean = on_mean
        self._going = set(range(count))
        self._said: dict[int, Mapping[str, float]] = {}
        self._waiting: dict[int, int] = {}  # the step at which each waits
        self._stopped = False
        self._error: Exception | None = None
        self._changed = threading.Condition()

    def judge(self, index: int, judge: Judge, is_gone: Callable[[], bool] = lambda: False) -> bool:
        """Gives the answer to job `index`, once there is one or the job is gone.

        Raises what `on_mean` raises, in all jobs.
        """
        with self._changed:
            self._said[index] = judge.metrics
            self._waiting[index] = judge.step
            self._decide()
            while index in self._waiting and not is_gone():
                self._changed.wait(LOOK_S)
            if self._error is not None:
                raise self._error
            return self._stopped

    def ended(self, index: int) -> None:
        """Says that job `index` asks no more."""
        with self._changed:
            self._going.discard(index)
            self._waiting.pop(index, None)
            self._decide()

    def _decide(self) -> None:
        if not self._waiting or set(self._waiting) != self._going:
            return
        step = min(self._waiting.values())
        try:
            if not self._stopped:
                self._stopped = self._on_mean(Judge(step, mean(list(self._said.values()))))
        except Exception as error:  # a store's; it must not leave the others waiting
            self._error, self._stopped = error, True
        self._waiting = {
            index: at for index, at in self._waiting.items() if at > step and not self._stopped
        }
        self._changed.notify_all()


@dataclass
class Repeats:
    """The attempts of one trial, by seed, and what they came to."""

    attempts: dict[int, Attempt]

    def train(
        self,
        interrupt: Interrupt,
        on_progress: Callable[[Report], None],
        on_mean: OnMean,
    ) -> dict[int, Outcome]:
        """Runs all at once, each to its closed run; gives the outcome by seed."""
        together = Together(len(self.attempts), on_mean)

        def train(index: int, attempt: Attempt) -> Outcome:
            def on_report(report: Report) -> bool:
                on_progress(report)
                if report.judge is None:
                    return False
                return together.judge(index, report.judge, attempt.is_gone)

            with ended_truly(attempt.run) as ending:
                try:
                    ending.outcome = attempt.train(interrupt, on_report)
                finally:
                    together.ended(index)
                if isinstance(ending.outcome, Completed):
                    attempt.keep(ending.outcome.values)
            # at an interrupt each may write its last checkpoint
            if isinstance(ending.outcome, Failed) and ending.outcome.reason != INTERRUPTED:
                for other in self.attempts.values():
                    other.kill(SIBLING)
            return ending.outcome

        with ThreadPoolExecutor(len(self.attempts)) as pool:
            numbers, attempts = range(len(self.attempts)), self.attempts.values()
            return dict(zip(self.attempts, pool.map(train, numbers, attempts), strict=True))

    def last(self) -> dict[str, Point]:
        """Gives the mean of the last points that all reported."""
        said = [attempt.last for attempt in self.attempts.values()]
        values = mean([{name: p.value for name, p in each.items()} for each in said])
        steps = {name: max(each[name].step for each in said) for name in values}
        return {name: Point(name, value, steps[name]) for name, value in values.items()}


def mean(said: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Gives the mean of each metric that all have."""
    first, *others = said
    shared = [name for name in first if all(name in other for other in others)]
    return {name: average([each[name] for each in said]) for name in shared}


def average(values: Sequence[float]) -> float:
    """Gives the mean; NaN of infinities of both signs, where `statistics.fmean` raises."""
    return sum(value / len(values) for value in values)


def combine(outcomes: Mapping[int, Outcome]) -> Outcome:
    """Gives the outcome of the trial from those of its repeats, by seed: the mean over the seeds.

    The failure of one is the trial's.
    """
    for seed, outcome in outcomes.items():
        match outcome:
            case Misfit():
                return outcome
            case Failed(reason) if reason == INTERRUPTED:
                return outcome
            case Failed(reason, traceback, again) if outcome is not SIBLING:
                return Failed(f"with seed {seed}: {reason}", traceback, again)
    completed = [o.values for o in outcomes.values() if isinstance(o, Completed)]
    if len(completed) < len(outcomes):
        steps = [o.step for o in outcomes.values() if isinstance(o, Pruned)]
        return Pruned(max(steps)) if steps else SIBLING
    return Completed(tuple(map(average, zip(*completed, strict=True))))

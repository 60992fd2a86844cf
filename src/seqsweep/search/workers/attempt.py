"""One job in its process, with its own run in the tracking store."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from seqsweep.errors import UserError
from seqsweep.gpus import gpu_of
from seqsweep.outcome import INTERRUPTED, Failed, Outcome
from seqsweep.process.child import Job
from seqsweep.process.messages import MODEL_FOLDER, Point, Report
from seqsweep.process.parent import OnReport, TrialProcess
from seqsweep.process.result import raised
from seqsweep.process.usage import sampled
from seqsweep.search.settings import Settings
from seqsweep.tracking import Run, record

GRACE_S = 3.0  # in which a trial that keeps checkpoints may write its last one
SIGNAL_S = 0.1  # by which the death of a trial may be seen before the signal that caused it


class Interrupt:
    """Ends all attempts that run, and all that would begin; see `TrialProcess.interrupt`.

    Attributes:
        hands_back: whether others, who go on, are to run again what it ends.
    """

    def __init__(self) -> None:
        self.hands_back = False
        self._come = threading.Event()
        self._running: set[TrialProcess] = set()
        # started here: a signal's handler may not, it may come while a thread is being started
        threading.Thread(target=self._end_the_grace, daemon=True).start()

    def set(self, *, hands_back: bool = False) -> None:
        """Ends them; may be called by a signal's handler."""
        self.hands_back |= hands_back
        self._come.set()
        for process in list(self._running):
            process.interrupt(Failed(INTERRUPTED))

    def _end_the_grace(self) -> None:
        self._come.wait()
        time.sleep(GRACE_S)
        for process in list(self._running):
            process.kill(Failed(INTERRUPTED))

    def is_set(self, *, within_s: float = 0.0) -> bool:
        """Says whether it has come, waiting for it so many seconds."""
        return self._come.wait(within_s)

    @contextmanager
    def ends(self, process: TrialProcess) -> Iterator[None]:
        """Lets the process be ended while in this block."""
        self._running.add(process)
        try:
            if self._come.is_set():
                process.kill(Failed(INTERRUPTED))
            yield
        finally:
            self._running.discard(process)


@dataclass
class Attempt:
    """Runs `job` once and records it in `run`.

    Attributes:
        last: the last point of each metric that it reported.
    """

    job: Job
    run: Run
    settings: Settings
    last: dict[str, Point] = field(default_factory=dict)
    _process: TrialProcess | None = None
    _killed_with: Failed | None = None

    def train(self, interrupt: Interrupt, on_report: Callable[[Report], bool]) -> Outcome:
        """Runs the job in a process of its own and gives the outcome."""
        self._process = process = TrialProcess(self.job)
        with interrupt.ends(process), self._limited(process), self._sampled(process):
            if self._killed_with is not None:
                process.kill(self._killed_with)
            outcome = process.run(
                self._hearing(on_report), log=lambda report: record(self.run, report)
            )
        # A signal to the whole group ends the forkserver too: its trials seem to die by themselves
        if isinstance(outcome, Failed) and interrupt.is_set(within_s=SIGNAL_S):
            return Failed(INTERRUPTED)
        return outcome

    def kill(self, outcome: Failed) -> None:
        """Ends it with that outcome, also where it has not begun yet."""
        self._killed_with = outcome
        if self._process is not None:
            self._process.kill(outcome)

    def is_gone(self) -> bool:
        """Says whether its process has ended."""
        return self._process is not None and self._process.is_gone()

    def keep(self, values: Sequence[float]) -> None:
        """Records the values, and the MLflow model if the job left one in its folder."""
        results = results_of(self.settings, values)
        model = self.job.folder / MODEL_FOLDER
        if self.settings.tracking.log_model and (model / "MLmodel").exists():
            self.run.add_model(model, results)
        else:
            self.run.log(results)

    def _hearing(self, on_report: OnReport) -> OnReport:
        def hear(report: Report) -> bool:
            self.last |= {point.name: point for point in report.points}
            return on_report(report)

        return hear

    def _sampled(self, process: TrialProcess) -> AbstractContextManager[None]:
        """Records what the process takes of the machine."""
        every_s = self.settings.tracking.system_metrics_every_s
        gpu = gpu_of(self.job.environment)
        return sampled(process.pid, self.run.log, every_s=every_s, gpu=gpu)

    @contextmanager
    def _limited(self, process: TrialProcess) -> Iterator[None]:
        """Kills the process once `trial_timeout` is over."""
        seconds = self.settings.trial_timeout
        if seconds is None:
            yield
            return
        outcome = Failed(f"it took longer than trial_timeout={seconds:g} s", again=True)
        timer = threading.Timer(seconds, process.kill, [outcome])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def results_of(settings: Settings, values: Sequence[float]) -> list[Point]:
    """Gives the objectives' values as points of a run."""
    return [Point(name, v, 0) for name, v in zip(settings.recorded_names, values, strict=True)]


@dataclass
class Ending:
    """How a run is to end."""

    outcome: Outcome


@contextmanager
def ended_truly(run: Run) -> Iterator[Ending]:
    """Ends the run with the outcome that this block leaves, a failure where it raises.

    A store that refuses what the run is to record makes a failure of the outcome, so that all
    records agree; one that is away does not.
    """
    ending = Ending(Failed("the worker was ended"))
    try:
        yield ending
    except Exception as error:
        ending.outcome = raised(error)
    finally:
        try:
            if ending.outcome != Failed(INTERRUPTED):  # then nothing may take long
                run.settle()
        except UserError as error:
            ending.outcome = raised(error)
        try:
            run.end(ending.outcome)
        except UserError as error:
            ending.outcome = raised(error)

"""Runs one trial, from its composed config to its closed run in the tracking store."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import optuna
from optuna.trial import FrozenTrial

from seqsweep.outcome import Completed, Failed, Misfit, Outcome, Pruned
from seqsweep.process.child import Job
from seqsweep.process.messages import DURATION, Judge, Point, Report
from seqsweep.process.result import raised
from seqsweep.record import flatten, text, visible
from seqsweep.search.plan import Plan
from seqsweep.search.report.intervals import BY_SEED
from seqsweep.search.space.parameter import Value
from seqsweep.search.study.records import (
    LENGTH,
    MODEL_ID,
    MODEL_KEY,
    RUN_ID,
    RUN_KEY,
    record_of,
    searched,
)
from seqsweep.search.workers import handover
from seqsweep.search.workers.attempt import Attempt, Interrupt, ended_truly, results_of
from seqsweep.search.workers.health import Health
from seqsweep.search.workers.repeats import Repeats, combine
from seqsweep.search.workers.slots import Slot
from seqsweep.search.workers.stops import is_feasible
from seqsweep.secrets import masked_yaml
from seqsweep.tracking import Run, Tracking, new_key

OnProgress = Callable[[Report], None]


class Runner:
    """Runs the trials of a plan; called from the threads of the slots."""

    def __init__(self, plan: Plan, tracking: Tracking, sweep_run: str, health: Health) -> None:
        self._plan = plan
        self._settings = plan.settings
        self._tracking = tracking
        self._sweep_run = sweep_run
        self._health = health
        self._tags = plan.tags()
        self._composing = threading.Lock()
        self._judging = threading.Lock()
        self.interrupt = Interrupt()

    def run(
        self, trial: optuna.Trial, params: dict[str, Value], slot: Slot, on_progress: OnProgress
    ) -> Outcome:
        """Runs the trial.

        What goes wrong on this side of the pipe, in a store or in composing, ends this trial only,
        like what goes wrong on the other.
        """
        try:
            with self._composing:  # Hydra's loader is not made for several threads
                jobs = self._plan.jobs.of_trial(params, trial.number, slot)
                passed = handover.take(
                    trial, jobs, lambda number: self._plan.jobs.of_trial(params, number, slot)
                )
            values = visible(next(iter(jobs.values())).config, self._settings.tracking.hidden)
        except Exception as error:
            return self.fail(trial, params, raised(error))

        def work(run: Run) -> Outcome:
            run.add_text(masked_yaml(values), "config.yaml")
            train = self._once if self._settings.repeats == 1 else self._repeated
            began = time.monotonic()
            outcome = train(trial, run, jobs, on_progress, passed)
            folders = [job.folder for job in jobs.values()]
            outcome = self._health.judge(slot, outcome, folders, params)
            run.log([Point(DURATION, time.monotonic() - began, 0)])
            return outcome

        outcome = self._recorded(trial, {**flatten(values), **searched(params)}, work)
        handover.drop(jobs, outcome)
        return outcome

    def fail(self, trial: optuna.Trial, params: dict[str, Value], outcome: Failed) -> Outcome:
        """Records a trial that cannot run."""
        return self._recorded(trial, searched(params), lambda _run: outcome)

    def copy(self, trial: optuna.Trial, params: dict[str, Value], twin: FrozenTrial) -> Outcome:
        """Gives the trial the outcome of an earlier one with the same values, without training."""

        def take(run: Run) -> Outcome:
            trial.set_user_attr("duplicate_of", twin.number)
            for name, violation in twin.constraints.items():
                trial.set_constraint(name, violation)
            if twin.constraints:
                run.tag({"seqsweep.feasible": text(is_feasible(twin))})
            if twin.values is None:
                return Pruned(twin.last_step or 0)
            run.log(results_of(self._settings, twin.values))
            return Completed(tuple(twin.values))

        tags = {"seqsweep.duplicate_of": str(twin.number)}
        return self._recorded(trial, searched(params), take, tags)

    def _recorded(
        self,
        trial: optuna.Trial,
        params: Mapping[str, str],
        work: Callable[[Run], Outcome],
        tags: Mapping[str, str] | None = None,
    ) -> Outcome:
        """Does the trial's work between the start and the end of its run; gives the outcome.

        The study knows the run before it is started, so that none is ever without its trial.
        """
        key = new_key()
        tags = {**self._tags, **(tags or {})}
        record = record_of(trial, self._plan.study_name, self._sweep_run, params, tags)
        try:
            trial.set_user_attr(RUN_KEY, key)
            run = self._tracking.start(record, key)
        except Exception as error:
            return raised(error)
        with ended_truly(run) as ending:
            ending.outcome = work(run)
        return ending.outcome

    def close(self, trial: optuna.Trial | FrozenTrial, outcome: Outcome) -> None:
        """Closes the run of a trial that others ended or ran."""
        if key := trial.user_attrs.get(RUN_KEY):
            self._tracking.run(key).end(outcome)

    def name_runs(self, trial: optuna.Trial) -> None:
        """Tells the study MLflow's ids of the trial's run and model, where they are known."""
        known = trial.user_attrs
        run = self._tracking.run(known.get(RUN_KEY, ""))
        model_id = self._tracking.run(known.get(MODEL_KEY, run.key)).model_id
        for name, value in ((RUN_ID, run.id), (MODEL_ID, model_id)):
            if value is not None:
                trial.set_user_attr(name, value)

    def _once(
        self,
        trial: optuna.Trial,
        run: Run,
        jobs: dict[int | None, Job],
        on_progress: OnProgress,
        passed: int,
    ) -> Outcome:
        def on_report(report: Report) -> bool:
            on_progress(report)
            return report.judge is not None and self._judge(trial, report.judge, passed)

        attempt = Attempt(jobs[None], run, self._settings)
        outcome = attempt.train(self.interrupt, on_report)
        _note_length(trial, [attempt])
        outcome = self._constrain(trial, run, outcome, attempt.last)
        if isinstance(outcome, Completed):
            attempt.keep(outcome.values)
        return outcome

    def _repeated(
        self,
        trial: optuna.Trial,
        run: Run,
        jobs: dict[int, Job],
        on_progress: OnProgress,
        passed: int,
    ) -> Outcome:
        """Runs the trial under each seed, each with a run of its own below the trial's."""
        attempts: dict[int, Attempt] = {}
        try:
            for seed, job in jobs.items():
                repeat = self._start_repeat(trial, run, seed)
                attempts[seed] = Attempt(job, repeat, self._settings)
        except Exception as error:
            for attempt in attempts.values():
                attempt.run.end(raised(error))
            raise
        repeats = Repeats(attempts)

        def on_mean(judge: Judge) -> bool:
            last = repeats.last()
            run.log([last[name] for name in judge.metrics if name in last])
            return self._judge(trial, judge, passed)

        outcomes = repeats.train(self.interrupt, on_progress, on_mean)
        _note_length(trial, attempts.values())
        outcome = self._constrain(trial, run, combine(outcomes), repeats.last())
        if isinstance(outcome, Completed):
            values = {seed: each.values for seed, each in outcomes.items()}
            trial.set_user_attr(BY_SEED, {str(seed): v for seed, v in values.items()})
            run.log(results_of(self._settings, outcome.values))
            run.log(_spread(self._settings.recorded_names, values))
            sign = self._settings.signs[0]
            best = max(values, key=lambda seed: sign * values[seed][0])
            trial.set_user_attr("best_seed", best)
            trial.set_user_attr(MODEL_KEY, attempts[best].run.key)
        return outcome

    def _start_repeat(self, trial: optuna.Trial, run: Run, seed: int) -> Run:
        params = {**searched(trial.params), self._settings.seed_key: str(seed)}
        tags = {**self._tags, "seqsweep.kind": "repeat"}
        record = record_of(trial, self._plan.study_name, self._sweep_run, params, tags)
        name = f"{record.name}, seed {seed}"
        return self._tracking.start(replace(record, name=name, parent=run.key), new_key())

    def _judge(self, trial: optuna.Trial, judge: Judge, passed: int) -> bool:
        """Tells the pruner the metric that it looks at, and asks it.

        Its answer counts after the step `passed`. It is asked before too: some pruners count that.
        """
        if len(self._settings.direction) > 1:  # Optuna prunes by one objective only
            return False
        metric = next(iter(self._settings.metric or judge.metrics), None)
        if metric not in judge.metrics:
            return False
        trial.report(judge.metrics[metric], judge.step)
        with self._judging:  # two at once set up Hyperband's brackets twice, which breaks the study
            return trial.should_prune() and judge.step > passed

    def _constrain(
        self, trial: optuna.Trial, run: Run, outcome: Outcome, last: Mapping[str, Point]
    ) -> Outcome:
        """Tells Optuna by how much the trial breaks each constraint."""
        constraints = self._settings.constraints
        if not constraints or isinstance(outcome, Failed):
            return outcome
        missing = [c.metric for c in constraints if c.metric not in last]
        if missing and isinstance(outcome, Completed):
            return Misfit(
                f"hydra.sweeper.constraints bound {', '.join(missing)}, which the trial did not "
                f"report; it reported {', '.join(last) or 'nothing'}"
            )
        if not missing:
            for c in constraints:
                trial.set_constraint(c.text, c.violation(last[c.metric].value))
            run.tag({"seqsweep.feasible": text(is_feasible(trial))})
        return outcome


def _note_length(trial: optuna.Trial, attempts: Iterable[Attempt]) -> None:
    """Tells the study how far the trial got."""
    steps = [max((p.step for p in a.last.values()), default=0) for a in attempts]
    if sum(steps):
        trial.set_user_attr(LENGTH, sum(steps))


def _spread(names: list[str], values: Mapping[int, tuple[float, ...]]) -> list[Point]:
    """Gives the standard deviation of each objective over the seeds, with n - 1 below the line."""
    columns = zip(*values.values(), strict=True)
    return [
        Point(f"{name}_std", statistics.stdev(column), 0)
        for name, column in zip(names, columns, strict=True)
    ]

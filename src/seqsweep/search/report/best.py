"""The best trials, and the one look that their models get at data no trial has seen."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from omegaconf import DictConfig, OmegaConf
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from seqsweep.errors import SearchError
from seqsweep.evaluation import Evaluation
from seqsweep.outcome import Failed
from seqsweep.process.child import Job, pack
from seqsweep.process.messages import MODEL_FOLDER, Point, Report
from seqsweep.process.parent import TrialProcess
from seqsweep.search.plan import Plan
from seqsweep.search.settings import Settings
from seqsweep.search.study.records import MODEL_KEY, RUN_KEY
from seqsweep.search.workers.health import Health
from seqsweep.search.workers.slots import Slot
from seqsweep.search.workers.stops import is_feasible
from seqsweep.tracking import Run, Tracking

Scores = Mapping[str, float]
BEST = "seqsweep:best"  # a study's attribute: the numbers of the trials that are tagged as the best


def best_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Gives the best completed trial, or with several objectives the Pareto front.

    None of them breaks a constraint; empty where there is no such trial. A front goes by the first
    objective, the best one first.
    """
    signs = _signs(study)
    if len(signs) > 1:
        found = study.best_trials
    else:
        found = [trial for trial in _completed(study) if is_feasible(trial)]
    own = [trial for trial in found if "duplicate_of" not in trial.user_attrs]
    own.sort(key=lambda trial: (-signs[0] * trial.values[0], trial.number))
    return own if len(signs) > 1 else own[:1]


class Front:
    """The values that no others surpass, as trials end one after the other; for several threads."""

    def __init__(self, study: optuna.Study) -> None:
        self._signs = _signs(study)
        self._lock = threading.Lock()
        self._values: list[list[float]] = []
        for trial in filter(is_feasible, _completed(study)):
            self.improves(trial.values)

    def improves(self, values: Sequence[float]) -> bool:
        """Says whether these values are better than all before, or join the front; takes them."""
        mine = [sign * value for sign, value in zip(self._signs, values, strict=True)]
        with self._lock:
            if any(_covers(theirs, mine) for theirs in self._values):
                return False
            self._values = [theirs for theirs in self._values if not _covers(mine, theirs)]
            self._values.append(mine)
            return True


def _covers(a: Sequence[float], b: Sequence[float]) -> bool:
    return all(x >= y for x, y in zip(a, b, strict=True))


def _signs(study: optuna.Study) -> list[int]:
    return [1 if d is StudyDirection.MAXIMIZE else -1 for d in study.directions]


def _completed(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def once(best: FrozenTrial, points: Iterable[Point]) -> list[Point]:
    """Gives the points as of the time at which the best trial ended.

    A sweep that was killed at its end says them again when it goes on; a store keeps points that
    are the same once.
    """
    time_ms = int(best.datetime_complete.timestamp() * 1000)
    return [replace(point, time_ms=time_ms) for point in points]


def mark_best(study: optuna.Study, tracking: Tracking, numbers: Iterable[int]) -> None:
    """Tags the runs of the best trials, and those that were the best before as such no more."""
    trials, now = study.get_trials(deepcopy=False), list(numbers)
    before = [number for number in study.user_attrs.get(BEST, []) if number not in now]
    for is_best, group in (("true", now), ("false", before)):
        for number in group:
            run = tracking.run(trials[number].user_attrs[RUN_KEY])
            run.tag({"seqsweep.best": is_best})
    study.set_user_attr(BEST, now)


def evaluate_best(plan: Plan, best: FrozenTrial, tracking: Tracking, *runs: Run) -> Scores:
    """Calls `hydra.sweeper.evaluate_best` in the best trial's folder; records what it reports.

    Of a trial that was repeated under several seeds it is the folder of the best one. A process
    that crashes is tried again, as a trial's is: it would leave a sweep without its last number.
    The model of the one best trial is registered where the function left an `Evaluation`.

    Raises:
        SearchError: the function failed.
    """
    function = plan.settings.function("evaluate_best")
    if function is None:
        return {}
    health, tries = Health(plan.slots), 0
    while tries <= plan.settings.max_retries:
        slot = health.slots[0]
        job = _job_of_look(plan, best, slot, function)
        reports: list[Report] = []
        outcome = TrialProcess(job).run(on_report=lambda _report: False, log=reports.append)
        outcome = health.judge(slot, outcome, [job.folder], best.params)
        if not (isinstance(outcome, Failed) and outcome.again):
            break
        tries += health.leave(slot) is None  # else it was no fault of the function's
        if not health.slots:
            break
    if isinstance(outcome, Failed):
        raise SearchError(f"the best model could not be evaluated: {outcome.reason}")
    points = [point for report in reports for point in report.points]
    for run in runs:
        run.log(once(best, points))
    _register(plan.settings, job.folder, model_run(tracking, best))
    return {point.name: point.value for point in points}


def _job_of_look(
    plan: Plan, best: FrozenTrial, slot: Slot, function: Callable[[DictConfig], Any]
) -> Job:
    def look(config: DictConfig) -> float:
        # Where only the workers have GPUs, this is the CPU of the machine that started them
        if slot.gpu is None and OmegaConf.select(config, "devices.name") == "gpu":
            config.devices.name = "cpu"
        function(config)
        return 0.0  # what it reports is what counts

    jobs = plan.jobs.of_trial(dict(best.params), best.number, slot)
    app = pack(look, plan.jobs.hydra_context)
    return replace(jobs[best.user_attrs.get("best_seed")], app=app, n_values=1)


def model_run(tracking: Tracking, trial: FrozenTrial) -> Run:
    """Gives the run that has the trial's model."""
    return tracking.run(trial.user_attrs.get(MODEL_KEY, trial.user_attrs[RUN_KEY]))


def _register(settings: Settings, folder: Path, run: Run) -> None:
    name, evaluation = settings.tracking.registered_model, Evaluation.read(folder)
    is_kept = settings.tracking.log_model and (folder / MODEL_FOLDER / "MLmodel").exists()
    if name is not None and evaluation is not None and is_kept and len(settings.direction) == 1:
        run.register(name, evaluation)

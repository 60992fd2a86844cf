"""The records of a sweep of the project, read as any other program may, and what is wrong in them.

Nothing here is seqsweep's: trials are read by Optuna, runs by MLflow's client, the rest from disk.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import optuna
from mlflow import MlflowClient
from mlflow.entities import LoggedModelStatus, Run
from optuna.trial import FrozenTrial, TrialState

STATUS = {TrialState.COMPLETE: "FINISHED", TrialState.FAIL: "FAILED"}
# What the best trial's model reports of the test images, after the search.
OF_THE_BEST = "test_"
# and of the machine that a trial ran on: no two trials have the same
OF_THE_MACHINE = ("system/", "duration_s", "samples_per_s")

Point = Mapping[str, float]
# The points of a curve as MLflow keeps them: steps with values.
Curves = dict[str, list[tuple[int, float]]]


@dataclass(frozen=True)
class Ledgers:
    """All that is recorded of one sweep: Optuna's trials, MLflow's runs, the folders of its jobs.

    Attributes:
        studies: names of all studies with their trials.
        runs: of MLflow, of trials and of the sweep, in all experiments.
        curves: of each run that has any, by its id.
        models: ids of the models that MLflow has whole, by the run that they are of.
    """

    folder: Path
    studies: dict[str, list[FrozenTrial]]
    runs: list[Run]
    curves: dict[str, Curves]
    models: dict[str, list[str]]

    @classmethod
    def read(cls, folder: Path, tracking_uri: str) -> "Ledgers":
        """Reads what a sweep with `root=folder` has left."""
        storage = f"sqlite:///{folder}/mlruns/optuna.db"
        client = MlflowClient(tracking_uri)
        experiments = [found.experiment_id for found in _pages(client.search_experiments)]
        runs = list(_pages(client.search_runs, experiments))
        models: dict[str, list[str]] = {}
        for model in _pages(client.search_logged_models, experiments):
            if model.status == LoggedModelStatus.READY:
                models.setdefault(model.source_run_id, []).append(model.model_id)
        return cls(
            folder,
            {
                name: optuna.load_study(study_name=name, storage=storage).trials
                for name in optuna.get_all_study_names(storage)
            },
            runs,
            {run.info.run_id: _curves(client, run) for run in runs},
            models,
        )

    @cached_property
    def study(self) -> str:
        """The name of the study that has most trials."""
        return max(self.studies, key=lambda name: len(self.studies[name]))

    @property
    def trials(self) -> list[FrozenTrial]:
        """Its trials."""
        return self.studies[self.study]

    @property
    def completed(self) -> list[FrozenTrial]:
        """Those with a value."""
        return [trial for trial in self.trials if trial.state is TrialState.COMPLETE]

    @property
    def sweep_runs(self) -> list[Run]:
        """The runs of the sweep itself, the parents of its trials' runs."""
        return [run for run in self.runs if run.data.tags.get("seqsweep.kind") == "sweep"]

    @cached_property
    def runs_by_trial(self) -> dict[str, list[Run]]:
        """The other runs, by the number of the trial that they name."""
        found: dict[str, list[Run]] = {}
        for run in self.runs:
            if run.data.tags.get("seqsweep.kind") != "sweep":
                found.setdefault(run.data.tags.get("seqsweep.trial", "none"), []).append(run)
        return found

    def by_point(self) -> dict[str, tuple[FrozenTrial, Curves]]:
        """Gives the completed trials with the curves of their runs, by their values."""
        return {
            key(trial.params): (trial, self.curves[run.info.run_id])
            for trial in self.completed
            for run in self.runs_by_trial.get(str(trial.number), [])
        }


def _pages(search, *arguments) -> Iterator:
    """Gives what a search of MLflow's client finds, page after page."""
    token = None
    while True:
        page = search(*arguments, page_token=token)
        yield from page
        if not (token := page.token):
            return


def _curves(client: MlflowClient, run: Run) -> Curves:
    return {
        name: sorted((p.step, p.value) for p in client.get_metric_history(run.info.run_id, name))
        for name in run.data.metrics
    }


def key(point: Point) -> str:
    """Writes a point of the grid, alike however it was read."""
    return json.dumps(point, sort_keys=True)


def losses(found: Ledgers, points: Iterable[Point]) -> list[str]:
    """Gives the points that no trial has completed."""
    completed = {key(trial.params) for trial in found.completed}
    return [key(point) for point in points if key(point) not in completed]


def faults(found: Ledgers, points: Iterable[Point]) -> Iterator[str]:
    """Says what is wrong in the records of a sweep over these points, one sentence each."""
    yield from _of_optuna(found, points)
    yield from _of_mlflow(found)
    yield from _of_curves(found)
    yield from _of_disk(found)


def _of_optuna(found: Ledgers, points: Iterable[Point]) -> Iterator[str]:
    for name, trials in found.studies.items():
        if name != found.study and trials:
            yield f"Optuna: the study {name} has trials beside {found.study}"
    times = Counter(key(trial.params) for trial in found.completed)
    wanted = [key(point) for point in points]
    for point in wanted:
        if times[point] != 1:
            yield f"Optuna: the point {point} is COMPLETE {times[point]} times"
    for point in times.keys() - set(wanted):
        yield f"Optuna: the point {point} is none of the grid"
    for trial in found.trials:
        again = [t.number for t in found.trials if t.user_attrs.get("retry_of") == trial.number]
        if trial.state not in STATUS:
            yield f"Optuna: trial {trial.number} is {trial.state.name}"
        elif trial.state is TrialState.COMPLETE and again:
            yield f"Optuna: trial {trial.number} is COMPLETE and tried again by {again}"
        elif trial.state is TrialState.FAIL and not (len(again) == 1 and again[0] > trial.number):
            yield f"Optuna: trial {trial.number} has failed and is tried again by {again}"


def _of_mlflow(found: Ledgers) -> Iterator[str]:
    sweeps = {run.info.run_id: run.info.status for run in found.sweep_runs}
    if list(sweeps.values()) != ["FINISHED"]:
        yield f"MLflow: the runs of the sweep are {list(sweeps.values())}"
    numbers = {str(trial.number) for trial in found.trials}
    for number, runs in found.runs_by_trial.items():
        if number not in numbers:
            yield f"MLflow: {len(runs)} runs of trial {number}, which Optuna does not have"
    for trial in found.trials:
        runs = found.runs_by_trial.get(str(trial.number), [])
        if len(runs) != 1:
            yield f"MLflow: trial {trial.number} ({trial.state.name}) has {len(runs)} runs"
        for run in runs:
            for fault in _of_run(found, trial, run, sweeps):
                yield f"MLflow: the run of trial {trial.number} {fault}"


def _of_run(found: Ledgers, trial: FrozenTrial, run: Run, sweeps: Iterable[str]) -> Iterator[str]:
    tags = run.data.tags
    if run.info.status != STATUS.get(trial.state):
        yield f"is {run.info.status}, the trial {trial.state.name}"
    if tags.get("seqsweep.reason") != trial.user_attrs.get("reason"):
        why = trial.user_attrs.get("reason")
        yield f"has the reason {tags.get('seqsweep.reason')!r}, the trial {why!r}"
    if tags.get("seqsweep.study") != found.study:
        yield f"has the study {tags.get('seqsweep.study')!r}"
    if tags.get("mlflow.parentRunId") not in sweeps:
        yield "has another parent than the sweep's run"
    models = found.models.get(run.info.run_id, [])
    known = trial.user_attrs.get("mlflow_model_id")  # None: the server was away when it ended
    if trial.state is TrialState.COMPLETE and (len(models) != 1 or known not in (None, *models)):
        yield f"has the models {models}, the trial {known!r}"


def _of_curves(found: Ledgers) -> Iterator[str]:
    best = {run.info.run_id for run in found.runs if run.data.tags.get("seqsweep.best") == "true"}
    if len(best) != 1:
        yield f"MLflow: {len(best)} runs are tagged as the best"
    for run in found.runs:
        for name, points in found.curves[run.info.run_id].items():
            doubles = [step for step, times in Counter(s for s, _ in points).items() if times > 1]
            if doubles:
                who = f"{run.data.tags.get('seqsweep.kind')} {run.info.run_name!r}"
                yield f"MLflow: {name} of the {who} has the steps {doubles} more than once"
    of_the_best = {
        run_id
        for numbered in found.runs_by_trial.values()
        for run_id in (run.info.run_id for run in numbered)
        if any(name.startswith(OF_THE_BEST) for name in found.curves[run_id])
    }
    if of_the_best != best:
        yield f"MLflow: the runs {of_the_best} were tested, the best are {best}"


def _of_disk(found: Ledgers) -> Iterator[str]:
    """Looks for the folders of trials that had a process for long enough to be heard of."""
    jobs = found.folder / "mlruns" / "jobs" / found.study
    for trial in found.trials:
        folder = jobs / str(trial.number)
        if trial.intermediate_values and not (folder / "output.log").is_file():
            yield f"disk: trial {trial.number} has no {folder}"
        if trial.state is TrialState.COMPLETE and not (folder / "model" / "MLmodel").is_file():
            yield f"disk: trial {trial.number} has no model in {folder}"


def differences(found: Ledgers, wanted: Ledgers) -> Iterator[str]:
    """Says where completed trials have other values or curves than in `wanted`, to the last bit."""
    there = wanted.by_point()
    for point, (trial, curves) in found.by_point().items():
        if point not in there:
            continue
        twin, wanted_curves = there[point]
        if trial.values != twin.values:
            yield f"values: trial {trial.number} at {point} has {trial.values}, not {twin.values}"
        if trial.intermediate_values != twin.intermediate_values:
            yield f"values: trial {trial.number} at {point} has reported otherwise"
        not_alike = (OF_THE_BEST, *OF_THE_MACHINE)
        names = {name for name in {*curves, *wanted_curves} if not name.startswith(not_alike)}
        for name in sorted(names):
            if (has := curves.get(name, [])) != (want := wanted_curves.get(name, [])):
                yield (
                    f"curves: {name} of trial {trial.number} at {point} has {len(has)} points, "
                    f"{len(set(has) & set(want))} of them among the {len(want)} wanted"
                )

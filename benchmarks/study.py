"""What a study of many trials costs with each sampler: to open, to ask for a trial, to report.

Question: What grows with the number of trials, and how fast?
Command:  python benchmarks/study.py
Cost:     about five minutes

Studies in an SQLite file, or with --journal in a journal file, are filled with finished trials of
four parameters and five reports each, drawn at random; the trials that a sampler has of its own
(CMA-ES' generations, NSGA-II's) are not among them. Each row is a process of its own.

resume  from opening the store to having read all trials
ask     a new trial with its four parameters, the median of seven, as a worker of two slots asks
memory  what the process has grown by in all of that
report  the report and the table, without figures (docs/performance.md has those)
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import psutil
import sqlalchemy
from optuna.distributions import FloatDistribution, distribution_to_json
from optuna.storages._rdb import models
from optuna.storages.journal._storage import JournalOperation
from optuna.study import StudyDirection
from optuna.trial import TrialState
from rich.console import Console
from rich.table import Table

from hydra_plugins.seqsweep_sweeper import OPTIONS
from seqsweep.search.report.findings.files import write_report
from seqsweep.search.report.findings.snapshot import About, Snapshot
from seqsweep.search.space.parameter import Parameter
from seqsweep.search.space.space import Space
from seqsweep.search.study.store.base import Store
from seqsweep.search.study.store.opening import open_storage
from seqsweep.search.study.study import make_sampler

KEYS = [f"model.{name}" for name in "abcd"]
RANGE = FloatDistribution(0, 1)
SAMPLERS = ("random", "tpe", "cmaes", "qmc", "nsgaii")  # gp needs torch; the rest deal known points
SIZES = (100, 1_000, 10_000)
N_ASKED, N_REPORTS, GRACE_S = 7, 5, 60
ABOUT = About("study", ("value",), ("minimize",), None, {}, {}, "", None, "steps")


def place_of(file: Path) -> str:
    """Gives the store's address."""
    return f"journal:///{file}" if file.suffix == ".journal" else str(file)


def fill(file: Path, n_trials: int) -> None:
    """Makes a store with one study of so many finished trials."""
    storage = open_storage(place_of(file), grace_period=GRACE_S)
    study_id = storage.create_new_study([StudyDirection.MINIMIZE], "study")
    values = optuna.samplers.RandomSampler(seed=0)._rng.rng.random((n_trials, len(KEYS)))
    if file.suffix == ".journal":
        with file.open("a") as journal:
            for number, row in enumerate(values):
                journal.writelines(f"{json.dumps(line)}\n" for line in lines_of(number, row))
    else:
        fill_tables(storage, study_id, values)
    storage.close()


def lines_of(number: int, row: np.ndarray) -> Iterator[dict[str, Any]]:
    """Gives what is written to a journal, the first study's, while a trial runs."""
    began = datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=number)
    trial = {"worker_id": str(uuid.UUID(int=0)), "trial_id": number}
    yield {
        "op_code": JournalOperation.CREATE_TRIAL,
        "worker_id": trial["worker_id"],
        "study_id": 0,
        "datetime_start": began.isoformat(),
    }
    for key, value in zip(KEYS, row, strict=True):
        yield {
            **trial,
            "op_code": JournalOperation.SET_TRIAL_PARAM,
            "param_name": key,
            "param_value_internal": float(value),
            "distribution": distribution_to_json(RANGE),
        }
    for step in range(1, N_REPORTS + 1):
        yield {
            **trial,
            "op_code": JournalOperation.SET_TRIAL_INTERMEDIATE_VALUE,
            "step": step,
            "intermediate_value": float(row.sum()) + 1 / step,
        }
    yield {
        **trial,
        "op_code": JournalOperation.SET_TRIAL_STATE_VALUES,
        "state": TrialState.COMPLETE,
        "values": [float(row.sum())],
        "datetime_complete": (began + timedelta(seconds=1)).isoformat(),
    }


def fill_tables(storage: Store, study_id: int, values: np.ndarray) -> None:
    """Writes the trials of a database row by row, in one transaction."""
    began, n_trials = datetime(2026, 1, 1), len(values)
    trials = [
        {
            "trial_id": number + 1,
            "number": number,
            "study_id": study_id,
            "state": TrialState.COMPLETE,
            "datetime_start": began + timedelta(seconds=number),
            "datetime_complete": began + timedelta(seconds=number + 1),
        }
        for number in range(n_trials)
    ]
    params = [
        {
            "trial_id": number + 1,
            "param_name": key,
            "param_value": float(value),
            "distribution_json": distribution_to_json(RANGE),
        }
        for number, row in enumerate(values)
        for key, value in zip(KEYS, row, strict=True)
    ]
    results = [
        {"trial_id": i + 1, "objective": 0, "value": float(row.sum()), "value_type": "FINITE"}
        for i, row in enumerate(values)
    ]
    reports = [
        {
            "trial_id": i + 1,
            "step": step,
            "intermediate_value": float(row.sum()) + 1 / step,
            "intermediate_value_type": "FINITE",
        }
        for i, row in enumerate(values)
        for step in range(1, N_REPORTS + 1)
    ]
    with storage.engine.begin() as connection:
        for model, rows in (
            (models.TrialModel, trials),
            (models.TrialParamModel, params),
            (models.TrialValueModel, results),
            (models.TrialIntermediateValueModel, reports),
        ):
            connection.execute(sqlalchemy.insert(model.__table__), rows)


def timed(call: Callable[[], object]) -> float:
    """Gives how many seconds a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def measure(file: Path, name: str) -> dict[str, float]:
    """Opens the study, asks for trials and reports it, in this process."""
    process = psutil.Process()
    before = process.memory_info().rss
    space = Space(tuple(Parameter(key, RANGE, f"{key}=interval(0,1)") for key in KEYS), ())
    sampler = make_sampler(dict(OPTIONS["sampler"][name]), space, seed=0, n_slots=2)
    studies: list[optuna.Study] = []

    def resume() -> None:
        storage = open_storage(place_of(file), grace_period=GRACE_S)
        studies.append(optuna.load_study(study_name="study", storage=storage, sampler=sampler))
        studies[0].get_trials(deepcopy=False)

    resumed = timed(resume)
    (study,) = studies

    def ask() -> None:
        trial = study.ask()
        for parameter in space.parameters:
            parameter.suggest(trial)
        study.tell(trial, 1.0)

    asked = statistics.median(timed(ask) for _ in range(N_ASKED))
    grown = process.memory_info().rss - before

    def report() -> None:
        trials = study.get_trials(deepcopy=False)
        best = [study.best_trial.number]
        write_report(Snapshot(ABOUT, trials, best=best), file.with_suffix(".report"), {})

    return {"resume": resumed, "ask": asked, "memory": grown / 1e6, "report": timed(report)}


def measured_alone(file: Path, name: str) -> dict[str, float]:
    """Measures in a process of its own."""
    command = [sys.executable, __file__, "--one", name, str(file)]
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(told.stdout.splitlines()[-1])


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--samplers", nargs="+", default=SAMPLERS, choices=SAMPLERS)
    parser.add_argument("--journal", action="store_true", help="the study is in a journal file")
    parser.add_argument("--one", nargs=2, metavar=("SAMPLER", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")  # Optuna's, on what is experimental and on asking by hand
    if options.one:
        name, file = options.one
        print(json.dumps(measure(Path(file), name)))
        return
    table = Table(title="a study of so many trials, each row a process", box=None)
    for column in ("trials", "sampler", "resume", "ask", "memory", "report"):
        table.add_column(column, justify="left" if column == "sampler" else "right")
    with tempfile.TemporaryDirectory() as folder:
        for size in options.sizes:
            file = Path(folder, f"{size}.{'journal' if options.journal else 'db'}")
            fill(file, size)
            for name in options.samplers:
                found = measured_alone(file, name)
                table.add_row(
                    f"{size:,}",
                    name,
                    f"{found['resume']:.2f} s",
                    f"{1e3 * found['ask']:.1f} ms",
                    f"{found['memory']:.0f} MB",
                    f"{found['report']:.2f} s",
                )
    Console(width=100).print(table)


if __name__ == "__main__":
    main()

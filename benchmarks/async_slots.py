"""Slots that take the next trial at once, against batches that wait for their slowest trial.

Claim:    a sweep of trials of 1 s and 5 s, mixed, uses at least 0.95 of its two slots, MLflow on.
Command:  python benchmarks/async_slots.py
Cost:     six minutes, four without the joblib launcher; nearly no CPU

All rows run the same trials in the same order; a sweep is a program of its own, apps/sleeps.py,
started as a user starts it. The peers do what Hydra's own sweepers do: a batch of `n_jobs` trials,
and a wait for the slowest of them.

Hydra's joblib launcher  really so, where hydra-joblib-launcher is installed; it records nothing
bare threads             that only sleep: no process, no record. No batches can be faster

All shares are of the slot time, which is the number of slots times the wall time from the first
trial's start to the last trial's end.

held     a trial had the slot, from its start to its end in Optuna's record: this is slot use; the
         peers keep no record, so there it is what was slept
slept    the trial's own function slept, as it measured itself: less what a trial costs beside it
tail     the slot was free and no trial was left to start
between  the slot was free and trials were left: waiting for a batch, or from one trial to the next
"""

import argparse
import importlib.util
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.trial import TrialState
from rich.console import Console
from rich.table import Table

APP = Path(__file__).parent / "apps" / "sleeps.py"


@dataclass(frozen=True)
class Span:
    """One trial: when it began and ended, and how long it slept in between; all in seconds."""

    start: float
    end: float
    slept: float


@dataclass(frozen=True)
class Use:
    """How `n_jobs` slots were used by trials; the shares are of `n_jobs * wall`."""

    wall: float
    held: float
    slept: float
    tail: float

    @classmethod
    def of(cls, spans: Sequence[Span], n_jobs: int) -> "Use":
        """Sums up the trials, of which there are at least as many as slots."""
        ends = sorted(span.end for span in spans)
        wall = ends[-1] - min(span.start for span in spans)
        slot_time = n_jobs * wall
        # once the last trial has started, each slot ends one more trial, and then it is free
        tail = sum(ends[-1] - end for end in ends[-n_jobs:])
        return cls(
            wall,
            held=sum(span.end - span.start for span in spans) / slot_time,
            slept=sum(span.slept for span in spans) / slot_time,
            tail=tail / slot_time,
        )

    @property
    def between(self) -> float:
        """The share in which a slot was free and trials were left."""
        return 1 - self.held - self.tail


def sweep(seconds: Sequence[float], n_jobs: int, folder: Path) -> list[Span]:
    """Runs a sweep of these trials with seqsweep."""
    run_app(
        seconds,
        folder,
        "hydra/sweeper/sampler=grid",  # the turns in their order
        f"hydra.sweeper.n_jobs={n_jobs}",
        "hydra.sweeper.study_name=sleeps",
    )
    study = optuna.load_study(study_name="sleeps", storage=f"sqlite:///{folder}/sweep/optuna.db")
    completed = study.get_trials(states=(TrialState.COMPLETE,))
    if len(completed) < len(seconds):
        sys.exit(f"error: {len(seconds) - len(completed)} of {len(seconds)} trials failed")
    return [
        Span(trial.datetime_start.timestamp(), trial.datetime_complete.timestamp(), trial.value)
        for trial in completed
    ]


def joblib_batches(seconds: Sequence[float], n_jobs: int, folder: Path) -> list[Span]:
    """Runs the trials with Hydra's own sweeper and its joblib launcher."""
    run_app(
        seconds,
        folder,
        "hydra/sweeper=basic",
        f"hydra.sweeper.max_batch_size={n_jobs}",
        "hydra/launcher=joblib",
        f"hydra.launcher.n_jobs={n_jobs}",
    )
    files = [folder / "sweep" / str(turn) / "slept.json" for turn in range(len(seconds))]
    times = [json.loads(file.read_text()) for file in files]
    return [Span(start, end, end - start) for start, end in times]


def run_app(seconds: Sequence[float], folder: Path, *overrides: str) -> None:
    """Runs the app over all turns, in `folder`; what it says goes to stderr."""
    # the store that a user's shell may name is not for this
    env = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    turns = [f"turn=range(0,{len(seconds)})", f"seconds=[{','.join(map(str, seconds))}]"]
    command = [
        sys.executable,
        str(APP),
        "-m",
        *turns,
        *overrides,
        f"hydra.sweep.dir={folder}/sweep",
    ]
    code = subprocess.run(command, cwd=folder, env=env, stdout=sys.stderr, check=False).returncode
    if code:
        sys.exit(f"error: the sweep ended with exit code {code}")


def bare_batches(seconds: Sequence[float], n_jobs: int) -> list[Span]:
    """Runs the trials in batches of `n_jobs`, each after the slowest trial of the one before."""
    spans = []
    with ThreadPoolExecutor(n_jobs) as pool:
        for first in range(0, len(seconds), n_jobs):
            spans += pool.map(sleep, seconds[first : first + n_jobs])
    return spans


def sleep(seconds: float) -> Span:
    start = time.perf_counter()
    time.sleep(seconds)
    end = time.perf_counter()
    return Span(start, end, end - start)


def mixed(kinds: Sequence[float], n_trials: int, seed: int) -> list[float]:
    """Gives as many trials of each kind, or one more or less, in random order."""
    seconds = [kinds[i % len(kinds)] for i in range(n_trials)]
    random.Random(seed).shuffle(seconds)
    return seconds


def print_table(title: str, uses: dict[str, Use]) -> None:
    table = Table(title=title, box=None, pad_edge=False)
    table.add_column("")
    for column in ("wall", "held", "slept", "tail", "between"):
        table.add_column(column, justify="right")
    for name, use in uses.items():
        shares = (use.held, use.slept, use.tail, use.between)
        table.add_row(name, f"{use.wall:.1f} s", *(f"{share:.3f}" for share in shares))
    Console().print(table, highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, nargs="+", default=[1, 5], help="kinds of trials")
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--n-jobs", type=int, default=2, help="slots")
    parser.add_argument("--seed", type=int, default=0, help="of the trials' order")
    given = parser.parse_args()
    if given.trials < given.n_jobs:
        parser.error(f"--trials {given.trials} leave some of the {given.n_jobs} slots without one")

    seconds = mixed(given.seconds, given.trials, given.seed)
    spans = {}
    with tempfile.TemporaryDirectory() as folder:
        spans["seqsweep, MLflow on"] = sweep(seconds, given.n_jobs, Path(folder))
    if importlib.util.find_spec("hydra_plugins.hydra_joblib_launcher"):
        with tempfile.TemporaryDirectory() as folder:
            spans["batches: Hydra's joblib launcher"] = joblib_batches(
                seconds, given.n_jobs, Path(folder)
            )
    spans["batches: bare threads"] = bare_batches(seconds, given.n_jobs)
    kinds = " and ".join(f"{kind:g} s" for kind in given.seconds)
    print_table(
        f"{given.trials} trials of {kinds}, {sum(seconds):g} s in all, on {given.n_jobs} slots",
        {name: Use.of(some, given.n_jobs) for name, some in spans.items()},
    )


if __name__ == "__main__":
    main()

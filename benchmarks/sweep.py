"""The default search, against the same search with the tuners that a user might take instead.

Claim:    at most 1/6 of the time of Hydra's Optuna sweeper and 1/3 of Ray Tune's, with MLflow on,
          and a best validation accuracy that is not lower; medians over three seeds.
Command:  python benchmarks/sweep.py --environments FOLDER
Cost:     35 minutes on two CPU cores; before that minutes and 7 GB, once, for the environments

All search the space of `sweeps/default.yaml`, with as many trials of as many epochs at most, on the
same 4,000 digits with the same 500 to validate, and on all cores. A peer is a program in peers/, as
a careful user would write it with Keras' LSTM and `fit`, in an environment of its own with pinned
packages, which is made in FOLDER where it is missing. Rounds are interleaved, one a seed.

seqsweep              `python src/run.py -m sweep`: its own sampler and pruner, a slot a core;
                      MLflow has each curve, and the model of each trial that completed
hydra-optuna          Hydra's Optuna sweeper, TPE; one trial at a time in one process on all cores,
                      no pruning; MLflow has each curve and model, sent by few, cheap calls
hydra-optuna-autolog  the same with `mlflow.tensorflow.autolog()` in their place, as MLflow's guides
                      have it: it finds out each model's requirements, which takes seconds
hydra-optuna-joblib   as hydra-optuna, in batches of a trial a core with Hydra's joblib launcher
keras-tuner           BayesianOptimization; one trial at a time on all cores, no pruning, no MLflow
ray-tune              OptunaSearch and ASHA; a trial a core, no MLflow

time     of the whole program, from its start to its end
epochs   passes over the training set, of all trials together
best     the best validation accuracy after any epoch of any trial
"""

import argparse
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
from processes import clean_environment
from rich.console import Console
from rich.table import Table

from seqsweep.config import Mnist5kConfig
from seqsweep.data import load

HERE = Path(__file__).parent
OURS = "seqsweep"
CORES = len(os.sched_getaffinity(0))
ARGUMENTS = "{digits} {log} --trials {trials} --epochs {epochs} --seed {seed}"
HYDRA = (
    "hydra_optuna.py -m digits={digits} log={log}"
    " hydra.sweep.dir={folder}/jobs hydra.sweeper.n_trials={trials} epochs={epochs} seed={seed}"
)
# by name: the environment, and the program with its arguments
PEERS = {
    "hydra-optuna": ("hydra_optuna", HYDRA),
    "hydra-optuna-autolog": ("hydra_optuna", f"{HYDRA} autolog=true"),
    "hydra-optuna-joblib": (
        "hydra_optuna",
        f"{HYDRA} hydra/launcher=joblib hydra.launcher.n_jobs={CORES} hydra.sweeper.n_jobs={CORES}"
        " threads=1",
    ),
    "keras-tuner": ("keras_tuner", f"keras_tuner_bayesian.py {ARGUMENTS}"),
    "ray-tune": ("ray_tune", f"ray_tune.py {ARGUMENTS}"),
}


@dataclass(frozen=True)
class Budget:
    """How many trials there are, and of how many epochs at most."""

    trials: int
    epochs: int


@dataclass(frozen=True)
class Swept:
    """What one sweep cost and found."""

    seconds: float
    trials: int
    epochs: int
    best: float

    @classmethod
    def of(cls, seconds: float, curves: Sequence[Sequence[float]]) -> "Swept":
        """Sums up the validation accuracies of all trials, one an epoch."""
        best = max(max(curve) for curve in curves)
        return cls(seconds, len(curves), sum(map(len, curves)), best)


def ours(budget: Budget, seed: int, folder: Path) -> Swept:
    """Runs the default sweep in `folder`."""
    command = [sys.executable, str(HERE.parent / "src" / "run.py"), "-m", "sweep", f"root={folder}"]
    command += [f"hydra.sweeper.n_trials={budget.trials}", f"training.epochs={budget.epochs}"]
    seconds = timed([*command, f"seed={seed}"], folder)
    storage = f"sqlite:///{folder}/mlruns/optuna.db"
    trials = optuna.load_study(study_name="default-1", storage=storage).trials
    curves = [list(trial.intermediate_values.values()) for trial in trials]
    return Swept.of(seconds, [curve for curve in curves if curve])


def peer(
    name: str, environments: Path, digits: Path, budget: Budget, seed: int, folder: Path
) -> Swept:
    """Runs the search in `folder` with a peer, in its own environment."""
    environment, command = PEERS[name]
    log = folder / "epochs.log"
    places = {"digits": digits, "log": log, "folder": folder}
    program, *arguments = command.format(**places, **vars(budget), seed=seed).split()
    python = environments / environment / "bin" / "python"
    seconds = timed([str(python), str(HERE / "peers" / program), *arguments], folder)
    curves: dict[str, list[float]] = {}
    for line in log.read_text().splitlines():
        training, accuracy = line.split()
        curves.setdefault(training, []).append(float(accuracy))
    return Swept.of(seconds, list(curves.values()))


def timed(command: Sequence[str], folder: Path) -> float:
    """Gives the seconds that a program takes; ends this one where it fails."""
    env = {
        **clean_environment(),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",  # 15 by itself, so whatever else runs would be before it
    }
    if command[0] != sys.executable:
        env.pop("PYTHONPATH", None)  # a peer's Hydra would load our plugin
    began = time.perf_counter()
    ended = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - began
    if ended.returncode:
        sys.exit(f"{ended.stdout}{ended.stderr}\nerror: {shlex.join(command)} failed")
    return seconds


def make_environment(folder: Path, name: str) -> None:
    """Installs what a peer needs, unless that is there."""
    place = folder / name
    wanted, installed = HERE / "peers" / f"{name}.txt", place / "installed.txt"
    if installed.exists() and installed.read_text() == wanted.read_text():
        return
    print(f"Installing {name} in {place} …", file=sys.stderr)
    install = ["-m", "pip", "install", "--quiet", "--requirement", wanted]
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    subprocess.run([place / "bin" / "python", *install], check=True)
    shutil.copyfile(wanted, installed)


def write_digits(file: Path) -> None:
    """Writes the digits that the default sweep trains with, for the peers."""
    digits = load(Mnist5kConfig(name="mnist_5k", n_validation=500))
    train, validation = digits.train, digits.validation
    np.savez(
        file,
        x_train=train.x,
        y_train=train.y,
        x_validation=validation.x,
        y_validation=validation.y,
    )


def compare(
    names: Sequence[str], environments: Path, budget: Budget, seeds: range
) -> dict[str, list[Swept]]:
    """Runs each search with each seed; those of a seed one after the other."""
    swept: dict[str, list[Swept]] = {name: [] for name in (OURS, *names)}
    with tempfile.TemporaryDirectory() as place:
        digits = Path(place) / "digits.npz"
        write_digits(digits)
        for seed in seeds:
            for name, results in swept.items():
                with tempfile.TemporaryDirectory() as folder:
                    if name == OURS:
                        result = ours(budget, seed, Path(folder))
                    else:
                        result = peer(name, environments, digits, budget, seed, Path(folder))
                results.append(result)
                print(f"seed {seed}, {name}: {result}", file=sys.stderr)
    return swept


def print_table(swept: dict[str, list[Swept]]) -> None:
    table = Table(
        title=f"medians over {len(swept[OURS])} seeds, {CORES} cores", box=None, pad_edge=False
    )
    table.add_column("")
    for column in ("time", "to ours", "trials", "epochs", "best"):
        table.add_column(column, justify="right")
    seconds = median(swept[OURS], lambda one: one.seconds)
    for name, results in swept.items():
        table.add_row(
            name,
            f"{median(results, lambda one: one.seconds):.1f} s",
            f"{median(results, lambda one: one.seconds) / seconds:.2f}",
            f"{median(results, lambda one: one.trials):g}",
            f"{median(results, lambda one: one.epochs):g}",
            f"{median(results, lambda one: one.best):.3f}",
        )
    Console(width=100).print(table, highlight=False)


def median(results: Sequence[Swept], figure: Callable[[Swept], float]) -> float:
    return statistics.median(map(figure, results))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--environments", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--peer", nargs="*", choices=PEERS, default=list(PEERS), metavar="NAME")
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 0")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=5, help="at most, of a trial")
    given = parser.parse_args()
    environments = given.environments.resolve()
    for environment in dict.fromkeys(PEERS[name][0] for name in given.peer):
        make_environment(environments, environment)
    budget = Budget(given.trials, given.epochs)
    print_table(compare(given.peer, environments, budget, range(given.seeds)))


if __name__ == "__main__":
    main()

"""Sweeps over the digits with a pruner, against the same sweeps without one.

Claim:    the default sweep trains at most half the epochs of the same sweep without a pruner, and
          finds a best validation accuracy no more than 0.01 lower; medians over five seeds.
Command:  python benchmarks/pruning.py
Cost:     twenty minutes on two CPU cores

A sweep is `python src/run.py -m sweep`, MLflow on, in a temporary folder; the seed governs sampler,
weights and data order. Compared is the pruner that the sweep file names, or those that are given,
each by a name and Hydra overrides. Overrides without an option hold for all sweeps:

python benchmarks/pruning.py --pruner median hydra/sweeper/pruner=median
python benchmarks/pruning.py --seeds 3 training.epochs=5 hydra.sweeper.n_trials=30

epochs   passes over the training set, of all trials together: validations times `validate_every`
best     the best validation accuracy of a trial that completed
time     of the whole program; it says little where other programs share the machine
"""

import argparse
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna
from omegaconf import OmegaConf
from optuna.trial import TrialState
from rich.console import Console
from rich.table import Table

RUN = Path(__file__).parent.parent / "src" / "run.py"
WITHOUT = "none"
# null first, which takes away the arguments of the pruner that the sweep file names
NO_PRUNER = "hydra.sweeper.pruner=null hydra.sweeper.pruner={_target_:optuna.pruners.NopPruner}"


@dataclass(frozen=True)
class Swept:
    """What one sweep cost and found; `seconds` is its program's whole time."""

    epochs: float
    best: float
    pruned: int
    seconds: float


def sweep(overrides: Sequence[str], folder: Path) -> Swept:
    """Runs the sweep in `folder`; ends the program where it fails."""
    # the store that a user's shell may name is not for this
    env = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    command = [sys.executable, str(RUN), "-m", "sweep", *overrides, f"root={folder}"]
    began = time.perf_counter()
    ended = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if ended.returncode:
        sys.exit(f"{ended.stdout}{ended.stderr}\nerror: {shlex.join(command)} failed")
    storage = f"sqlite:///{folder}/mlruns/optuna.db"
    (name,) = optuna.get_all_study_names(storage)
    trials = optuna.load_study(study_name=name, storage=storage).trials
    validations = sum(len(trial.intermediate_values) for trial in trials)
    config = OmegaConf.load(folder / "mlruns" / "jobs" / name / "0" / ".hydra" / "config.yaml")
    return Swept(
        epochs=validations * config.training.validate_every,
        best=max(trial.value for trial in trials if trial.state is TrialState.COMPLETE),
        pruned=sum(trial.state is TrialState.PRUNED for trial in trials),
        seconds=seconds,
    )


def compare(pruners: dict[str, str], seeds: range, common: Sequence[str]) -> dict[str, list[Swept]]:
    """Runs each sweep with each seed; the sweeps of a seed one after the other, so that what else
    the machine does weighs on all alike.
    """
    swept: dict[str, list[Swept]] = {name: [] for name in pruners}
    for seed in seeds:
        for name, overrides in pruners.items():
            with tempfile.TemporaryDirectory() as folder:
                arguments = [*common, *shlex.split(overrides), f"seed={seed}"]
                result = sweep(arguments, Path(folder))
            swept[name].append(result)
            print(f"seed {seed}, {name}: {result}", file=sys.stderr)
    return swept


def print_table(swept: dict[str, list[Swept]]) -> None:
    """Prints medians over the seeds, with the least and the most in brackets."""
    table = Table(title=f"medians over {len(swept[WITHOUT])} seeds", box=None, pad_edge=False)
    table.add_column("pruner")
    for column in ("epochs", "of none", "best", "to none", "pruned", "time"):
        table.add_column(column, justify="right")
    none = swept[WITHOUT]
    for name, results in swept.items():
        table.add_row(
            name,
            spread(results, lambda one: one.epochs, "g"),
            f"{median(results, lambda one: one.epochs) / median(none, lambda one: one.epochs):.2f}",
            spread(results, lambda one: one.best, ".3f"),
            f"{median(results, lambda one: one.best) - median(none, lambda one: one.best):+.3f}",
            f"{median(results, lambda one: one.pruned):g}",
            f"{median(results, lambda one: one.seconds):.0f} s",
        )
    Console(width=100).print(table, highlight=False)


Figure = Callable[[Swept], float]


def median(results: Sequence[Swept], figure: Figure) -> float:
    return statistics.median(map(figure, results))


def spread(results: Sequence[Swept], figure: Figure, form: str) -> str:
    values = [figure(one) for one in results]
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5, help="how many, from 0")
    parser.add_argument(
        "--pruner", nargs=2, metavar=("NAME", "OVERRIDES"), action="append", help="may be repeated"
    )
    parser.add_argument("overrides", nargs="*", help="Hydra overrides of all sweeps")
    given = parser.parse_args()
    pruners = {WITHOUT: NO_PRUNER, **dict(given.pruner or [("the sweep file's", "")])}
    print_table(compare(pruners, range(given.seeds), given.overrides))


if __name__ == "__main__":
    main()

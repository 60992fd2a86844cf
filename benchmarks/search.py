"""Samplers and pruners by the epochs they need until a default sweep has found nearly the best.

Claim:    in the default space, and where its learning rates end at 1e-2 or begin at 3e-3, no other
          candidate needs clearly fewer epochs in all three than what `sweeps/default.yaml` says.
Command:  python benchmarks/search.py
Cost:     five minutes on two CPU cores; to make the table anew, `--record 372`, half an hour more

The table, tables/digits.csv, has the validation accuracies of configurations spread evenly over the
default space (Sobol's sequence), each trained for eight epochs on the digits. A search runs on a
surrogate of it: between the rows their curves are interpolated, by linear radial basis functions,
and at a row it is the row's own curve, chance included. How far the interpolation is from a row
that is left out is printed with the results. Overrides change the space, as

python benchmarks/search.py --sampler tpe 'optimizer.learning_rate=tag(log, interval(1e-4, 1e-2))'

Samplers and pruners are built as a sweep builds them, and see two trials at once, one epoch of each
in turn. A trial's value is its best epoch, and counts once it has completed, as in a sweep.

epochs  of all trials together until a value was within 0.005 of the best of the table's rows in
        the space: the quartiles over the seeds
missed  seeds without one within `--most` epochs

The sampler gp is compared where torch is installed.
"""

import argparse
import csv
import itertools
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import yaml
from optuna.distributions import BaseDistribution
from optuna.trial import TrialState
from processes import clean_environment
from rich.console import Console
from rich.table import Table
from scipy.interpolate import RBFInterpolator

from hydra_plugins.seqsweep_sweeper import OPTIONS
from seqsweep.search.space.space import Space
from seqsweep.search.study.study import make_pruner, make_sampler, silence_optuna

ROOT = Path(__file__).parent.parent
TABLE = Path(__file__).parent / "tables" / "digits.csv"
SWEEP = yaml.safe_load((ROOT / "sweeps" / "default.yaml").read_text())
PARAMS = SWEEP["hydra"]["sweeper"]["params"]
WHOLE = Space.read(PARAMS, [], config_loader=None)
# How fast the curves change along each parameter's range; of those tried, the least error left out
SPEEDS = {
    "model.n_hidden": 0.8,
    "model.forget_bias": 0.4,
    "optimizer.learning_rate": 3.0,
    "training.batch_size": 0.5,
}
N_SLOTS = 2
NEAR = 0.005
NEVER = math.inf
# by name: an option of the sweeper's, and what differs from it
Candidates = dict[str, tuple[str, dict[str, Any]]]
SAMPLERS: Candidates = {
    "random": ("random", {}),
    "qmc": ("qmc", {}),
    "cmaes": ("cmaes", {}),
    "tpe": ("tpe", {}),
    "tpe-5": ("tpe", {"n_startup_trials": 5}),
    "tpe-univariate": ("tpe", {"multivariate": False, "group": False}),
    "gp": ("gp", {}),
}
PRUNERS: Candidates = {
    "none": ("none", {}),
    "median": ("median", {}),
    "percentile": ("percentile", {}),
    "asha-2": ("asha", {"reduction_factor": 2}),
    "asha-3": ("asha", {"reduction_factor": 3}),
    "asha-4": ("asha", {"reduction_factor": 4}),
    "hyperband": ("hyperband", {}),
}


class Surrogate:
    """Curves of any configuration, from those of some.

    Args:
        values: of each configuration, by parameter.
        curves: their validation accuracies, (n, epochs).
    """

    def __init__(self, values: Sequence[Mapping[str, float]], curves: np.ndarray) -> None:
        self._values, self._curves = values, curves
        places = [place(one) for one in values]
        self._between = RBFInterpolator(places, curves, kernel="linear")

    @classmethod
    def read(cls, file: Path) -> "Surrogate":
        """Reads a table."""
        with file.open() as text:
            rows = list(csv.DictReader(text))
        values = [{name: float(row.pop(name)) for name in SPEEDS} for row in rows]
        return cls(values, np.array([list(row.values()) for row in rows], float))

    def __len__(self) -> int:
        return len(self._values)

    def curve(self, values: Mapping[str, float]) -> list[float]:
        """Gives the accuracies of a configuration, one an epoch; none is above the table's best."""
        return np.clip(self._between([place(values)])[0], 0, self._curves.max()).tolist()

    def best(self, space: Space) -> float:
        """Gives the best accuracy of the rows that lie in the space."""
        ranges = {p.name: p.distribution for p in space.parameters}
        return max(
            float(curve.max())
            for values, curve in zip(self._values, self._curves, strict=True)
            if all(of.low <= values[name] <= of.high for name, of in ranges.items())
        )

    def errors(self) -> list[float]:
        """Gives how far each row is from what all others say of it, the mean over its epochs."""
        return [self._error(row) for row in range(len(self))]

    def _error(self, row: int) -> float:
        others = [*self._values[:row], *self._values[row + 1 :]]
        without = Surrogate(others, np.delete(self._curves, row, axis=0))
        return float(np.abs(without.curve(self._values[row]) - self._curves[row]).mean())


def place(values: Mapping[str, float]) -> list[float]:
    """Gives where a configuration lies, such that its curve changes alike in all directions."""
    return [SPEEDS[p.name] * share(values[p.name], p.distribution) for p in WHOLE.parameters]


def share(value: float, of: BaseDistribution) -> float:
    """Gives where a value lies in its range, from 0 to 1."""
    scale = math.log if of.log else float
    return (scale(value) - scale(of.low)) / (scale(of.high) - scale(of.low))


surrogate = cache(Surrogate.read)  # once a process


def epochs_needed(
    table: Path, overrides: Sequence[str], most: int, sampler: str, pruner: str, seed: int
) -> float:
    """Gives how many epochs a search trains until it has a value near the best; `NEVER`."""
    silence_optuna()
    known = surrogate(table)
    space = Space.read(PARAMS, [*overrides], config_loader=None)
    goal = known.best(space) - NEAR
    config = option("sampler", *SAMPLERS[sampler])
    study = optuna.create_study(
        study_name="search",  # Hyperband's brackets go by it
        direction="maximize",
        sampler=make_sampler(config, space, seed=seed, n_slots=N_SLOTS),
        pruner=make_pruner(option("pruner", *PRUNERS[pruner])),
    )
    slots = [trials(study, space, known) for _ in range(N_SLOTS)]
    for epochs in range(1, most + 1):
        value = next(slots[epochs % N_SLOTS])
        if value is not None and value >= goal:
            return epochs
    return NEVER


def option(kind: str, name: str, differs: Mapping[str, Any]) -> dict[str, Any]:
    return {**OPTIONS[kind][name], **differs}


def trials(study: optuna.Study, space: Space, known: Surrogate) -> Iterator[float | None]:
    """Runs trials one after the other, an epoch at each step; gives the value of one that ends."""
    while True:
        trial = study.ask()
        curve = known.curve(space.suggest(trial))
        for epoch, accuracy in enumerate(curve, start=1):
            trial.report(accuracy, epoch)
            if trial.should_prune():
                study.tell(trial, state=TrialState.PRUNED)
                yield None
                break
            if epoch < len(curve):
                yield None
        else:
            study.tell(trial, max(curve))
            yield max(curve)


def compare(
    needed: Callable[[str, str, int], float], pairs: Sequence[tuple[str, str]], seeds: range
) -> None:
    """Prints a row for each sampler with each pruner, the best first."""
    results = {}
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for pair in pairs:
            results[pair] = [*pool.map(partial(needed, *pair), seeds)]
            print(*pair, quartiles(results[pair]), file=sys.stderr)
    printed = Table(title=f"{len(seeds)} seeds", box=None, pad_edge=False)
    for column in ("sampler", "pruner", "epochs", "", "", "missed"):
        printed.add_column(column, justify="left" if column.endswith("er") else "right")
    for pair, all_needed in sorted(results.items(), key=lambda item: quartiles(item[1])[1]):
        quarters = (f"{quarter:g}" for quarter in quartiles(all_needed))
        printed.add_row(*pair, *quarters, str(all_needed.count(NEVER)))
    Console(width=100).print(printed, highlight=False)


def quartiles(needed: Sequence[float]) -> list[float]:
    # no mean of two, of which one may be infinite
    return np.percentile(needed, (25, 50, 75), method="higher").tolist()


def describe(known: Surrogate, space: Space) -> None:
    best, errors = known.best(space), np.percentile(known.errors(), (25, 50, 75))
    print(f"{len(known)} configurations, the best in the space at {best:.3f}; one left out is off")
    print("by {:.3f}, {:.3f} and {:.3f} of accuracy, the quartiles".format(*errors))


def record(table: Path, n_points: int) -> None:
    """Trains the table with a sweep; one that was interrupted goes on."""
    folder = Path(tempfile.gettempdir()) / "seqsweep-table"
    command = [sys.executable, str(ROOT / "src" / "run.py"), "-m", "sweep", f"root={folder}"]
    command += ["hydra/sweeper/sampler=qmc", "hydra/sweeper/pruner=none", "tracking=none"]
    command += [f"hydra.sweeper.n_trials={n_points}"]
    folder.mkdir(exist_ok=True)
    subprocess.run(command, env=clean_environment(), check=True)
    storage = f"sqlite:///{folder}/mlruns/optuna.db"
    write(optuna.load_study(study_name=None, storage=storage), table)
    shutil.rmtree(folder)


def write(study: optuna.Study, table: Path) -> None:
    """Writes a row for each completed trial: its values, and the accuracy after each epoch."""
    trials = study.get_trials(states=(TrialState.COMPLETE,))
    table.parent.mkdir(exist_ok=True)
    with table.open("w", newline="") as text:
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow([*SPEEDS, *trials[0].intermediate_values])
        for trial in trials:
            values = (f"{trial.params[name]:.6g}" for name in SPEEDS)
            rows.writerow([*values, *(f"{v:.3f}" for v in trial.intermediate_values.values())])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--record", type=int, metavar="N", help="train it first, of so many points")
    parser.add_argument("--sampler", nargs="+", choices=SAMPLERS, default=list(SAMPLERS))
    parser.add_argument("--pruner", nargs="+", choices=PRUNERS, default=list(PRUNERS))
    parser.add_argument("--seeds", type=int, default=50, help="how many, from 0")
    parser.add_argument("--most", type=int, default=480, help="epochs of a search")
    parser.add_argument("overrides", nargs="*", help="of the space")
    given = parser.parse_args()
    if given.record is not None:
        record(given.table, given.record)
    samplers = [name for name in given.sampler if name != "gp" or find_spec("torch")]
    pairs = list(itertools.product(samplers, given.pruner))
    space = Space.read(PARAMS, given.overrides, config_loader=None)
    describe(surrogate(given.table), space)
    needed = partial(epochs_needed, given.table, given.overrides, given.most)
    compare(needed, pairs, range(given.seeds))


if __name__ == "__main__":
    main()

"""What a trial costs that does nothing: sampling, composing, its process, its records.

Question: What does a sweep cost beside its training, and how does that grow with the study?
Command:  python benchmarks/overhead.py
Cost:     about six minutes, of which three fill studies of 10,000 trials

All rows run apps/nothing.py, a sweep with a program of its own, as a user starts it. A row's figure
is the time from the start of its first trial to the end of its last, by Optuna's record, over the
number of trials.

seqsweep          goes on with a study of so many trials, with the sampler and the store named
Hydra, no record  Hydra's own basic sweeper on one core, the least that any Hydra job costs: no
                  process, no study, no record, no sampler; by the clock of its trials
suggesting        what the sampler alone takes for one trial, with the study in memory, on one core
"""

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import optuna
from optuna.distributions import FloatDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, create_trial
from processes import clean_environment
from rich.console import Console
from rich.table import Table

from seqsweep.search.study.store.opening import open_storage

APP = Path(__file__).parent / "apps" / "nothing.py"
SPACE = {name: FloatDistribution(-1, 1) for name in "abcd"}
GRACE_S = 60
N_ASKS = 5
SAMPLERS = {
    "random": lambda: RandomSampler(seed=0),
    "tpe": lambda: TPESampler(seed=0, multivariate=True, group=True, constant_liar=True),
}


def run_app(folder: Path, *overrides: str) -> None:
    """Runs the app in `folder`; what it says goes to stderr."""
    command = [sys.executable, str(APP), "-m", f"hydra.sweep.dir={folder}/sweep", *overrides]
    code = subprocess.run(
        command, cwd=folder, env=clean_environment(), stdout=sys.stderr, check=False
    ).returncode
    if code:
        sys.exit(f"error: the sweep ended with exit code {code}")


def study_in(folder: Path) -> optuna.Study:
    storage = open_storage(f"{folder}/sweep/optuna.db", grace_period=GRACE_S)
    return optuna.load_study(study_name="nothing", storage=storage)


def sweep(folder: Path, n_trials: int, n_jobs: int, sampler: str, tracking: str) -> None:
    """Goes on with the study until it has so many trials."""
    run_app(
        folder,
        "hydra.sweeper.study_name=nothing",
        f"hydra.sweeper.n_trials={n_trials}",
        f"hydra.sweeper.n_jobs={n_jobs}",
        f"hydra/sweeper/sampler={sampler}",
        f"hydra.sweeper.tracking.name={tracking}",
    )


def fill(folder: Path, n_trials: int) -> None:
    """Lets the study have so many trials; those that are added are worse than any that ran."""
    study = study_in(folder)
    values = optuna.create_study(sampler=RandomSampler(seed=1))
    for _ in range(n_trials - len(study.get_trials(deepcopy=False))):
        params = values.ask(SPACE).params
        value = 10 + sum(x**2 for x in params.values())
        study.add_trial(create_trial(params=params, distributions=SPACE, value=value))


def cost_of_ours(folder: Path, n_trials: int, n_jobs: int, sampler: str, tracking: str) -> float:
    """Gives the seconds that each of so many more trials takes."""
    before = len(study_in(folder).get_trials(deepcopy=False))
    sweep(folder, before + n_trials, n_jobs, sampler, tracking)
    ran: Sequence[FrozenTrial] = study_in(folder).get_trials(deepcopy=False)[before:]
    if len(ran) < n_trials or not all(trial.state.is_finished() for trial in ran):
        sys.exit(f"error: {n_trials} trials were to run, {len(ran)} did")
    first, last = min(t.datetime_start for t in ran), max(t.datetime_complete for t in ran)
    return (last - first).total_seconds() / len(ran)


def cost_of_hydras(folder: Path, n_trials: int) -> float:
    """Gives the seconds that each job of Hydra's basic sweeper takes, by the jobs' own clocks."""
    values = ",".join(str(i / n_trials) for i in range(n_trials))
    more = ["hydra.sweeper.params=null", "leave_times=true"]
    run_app(folder, "hydra/sweeper=basic", f"a={values}", *more)
    files = [folder / "sweep" / str(number) / "times.json" for number in range(n_trials)]
    times = sorted(json.loads(file.read_text()) for file in files)
    return (times[-1] - times[0]) / (n_trials - 1)


def suggesting(folder: Path, sampler: BaseSampler) -> float:
    """Gives the seconds in which the sampler chooses the values of one trial."""
    study = optuna.create_study(storage=InMemoryStorage(), sampler=sampler)
    study.add_trials(study_in(folder).get_trials(deepcopy=False))
    study.ask(SPACE)  # imports what it needs
    start = time.perf_counter()
    for _ in range(N_ASKS):
        study.ask(SPACE)
    return (time.perf_counter() - start) / N_ASKS


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, nargs="+", default=[1, 100, 1000, 10_000])
    parser.add_argument("--trials", type=int, default=40, help="that run in each row")
    parser.add_argument("--n-jobs", type=int, default=2, help="slots")
    given = parser.parse_args()
    if min(given.studies) < 1 or given.trials < 2:
        parser.error("--studies are from 1 up, --trials from 2 up")

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    table = Table(
        title=f"{given.trials} trials that do nothing, on {given.n_jobs} slots",
        box=None,
        pad_edge=False,
    )
    for column in ("", "trials in the study", "a trial", "to Hydra", "suggesting"):
        table.add_column(column, justify="right" if column else "left")
    with tempfile.TemporaryDirectory() as folder:
        hydras = cost_of_hydras(Path(folder), given.trials)
    table.add_row("Hydra, no record", "-", f"{hydras:.3f} s", "1.00", "-")
    for size, tracking in itertools.product(given.studies, ("mlflow", "none")):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            sweep(folder, 1, given.n_jobs, "random", tracking)
            fill(folder, size)
            for sampler, make in SAMPLERS.items():
                alone = suggesting(folder, make())
                cost = cost_of_ours(folder, given.trials, given.n_jobs, sampler, tracking)
                figures = (f"{cost:.3f} s", f"{cost / hydras:.2f}", f"{alone:.4f} s")
                table.add_row(f"seqsweep, {sampler}, {tracking}", f"{size:,}", *figures)
    Console().print(table, highlight=False)


if __name__ == "__main__":
    main()

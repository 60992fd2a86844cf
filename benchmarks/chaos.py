"""A sweep whose trials and controller are killed, against the same sweep undisturbed.

Claim:    nothing is lost: every point of the grid is completed once, with the same value and the
          same curves to the last bit, and Optuna, MLflow and the disk tell the same story.
Command:  python benchmarks/chaos.py
          python benchmarks/chaos.py --server
Cost:     sixteen minutes on two CPU cores that other programs used as well

A sweep is `python src/run.py -m` over a grid, with `root` in a scratch folder. It runs once in
peace. Then, in another folder for each seed, a random trial process gets SIGKILL every few seconds,
and the program itself SIGKILL, or SIGINT as by Ctrl-C, at random moments, also while it starts; the
same command goes on with it each time. With `--server` a real `mlflow server` holds the runs; in
the disturbed sweeps it is killed with all its processes, and comes back after some seconds. The
seed governs what is done after which pause; what that hits goes by the machine. Trials are killed
only while no more were than have completed, so that a slow machine comes to an end too.

python benchmarks/chaos.py --seed 1 2 3 --every 2 --controllers 5
python benchmarks/chaos.py --override training.epochs=3 --folder kept

tries      trials in Optuna: those that completed, and those that were killed and run again
repaired   tries that were no failure of their own: the sweep had ended, and the next one set their
           records right and ran them again
lost       points of the grid that no trial has completed
faults     whatever else is wrong; each is one line below the table

The exit code is 1 where anything is lost or wrong. The folder then stays, and is named.
"""

import argparse
import itertools
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from ledgers import Ledgers, differences, faults, losses
from processes import Server, clean_environment, kill, kill_all_in, processes_in
from rich.console import Console
from rich.table import Table

RUN = Path(__file__).parent.parent / "src" / "run.py"
HIDDEN = (8, 16)
# Trials of two seconds on one core, nearly all of it TensorFlow's start of a model.
SWEEP = (
    "hydra/sweeper/sampler=grid",
    "hydra.sweeper.max_retries=1000",
    "devices=cpu",
    "training.epochs=2",
    "training.validate_every=0.25",
    "training.display_step=4",
)
STARTING_S = 10  # about what a sweep takes until its first trial trains
LAST = 0.8  # of the points: no strike comes later, so that none comes too late
ENDING_S = 60  # for a sweep that is interrupted
LEAVING_S = 10  # for the processes of a sweep that has ended
INTERRUPTED = 130  # the exit code


@dataclass(frozen=True)
class Strike:
    """What is done to a sweep once `done` points have a model, and the controller is so old."""

    kind: str
    done: int
    age_s: float


@dataclass
class Swept:
    """How one sweep went; `kills` counts killed trial processes, `struck` the strikes by kind."""

    kills: int = 0
    struck: Counter = field(default_factory=Counter)
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


class Sweep:
    """A sweep of the project in `folder`, on which strikes fall; call `run` once."""

    def __init__(self, command: Sequence[str], folder: Path, server: Server | None) -> None:
        folder.mkdir()
        self._command = [*command, f"root={folder}"]
        self._folder = folder
        self._server = server
        self._absence: Future | None = None
        self._controller: subprocess.Popen | None = None
        self._began = 0.0
        self.swept = Swept()

    def run(self, strikes: list[Strike], every: float, chance: random.Random, limit: float) -> None:
        """Runs the sweep to its end, with the same command again after each end that came before.

        Args:
            strikes: what is done, in this order.
            every: seconds from one killed trial process to the next, on average; 0 for none.
            chance: deals who is killed and after which pause.
            limit: seconds that all this may take.
        """
        began = time.monotonic()
        kill_at = began
        self._start()
        with ThreadPoolExecutor(1) as absences:
            while (code := self._controller.poll()) is None and time.monotonic() < began + limit:
                if every and time.monotonic() >= kill_at and self.swept.kills <= self._done():
                    kill_at = time.monotonic() + every * chance.uniform(0.5, 1.5)
                    self._kill_a_trial(chance)
                if strikes and self._is_due(strikes[0]):
                    self._strike(strikes.pop(0), chance, absences)
                time.sleep(0.05)
        self._look_at_the_end(code, strikes, limit)
        self.swept.seconds = time.monotonic() - began

    def _start(self) -> None:
        with (self._folder / "sweep.log").open("a") as log:
            self._controller = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._began = time.monotonic()

    def _kill_a_trial(self, chance: random.Random) -> None:
        processes = processes_in(self._folder / "mlruns" / "jobs")
        # the forkserver's output goes there too, into another file, while it imports TensorFlow
        trials = sorted(pid for pid, output in processes.items() if output.name == "output.log")
        if trials and kill(chance.choice(trials)):
            self.swept.kills += 1

    def _is_due(self, strike: Strike) -> bool:
        if self._absence is not None and not self._absence.done():
            return False  # a sweep cannot start without its server
        is_old = time.monotonic() >= self._began + strike.age_s
        return is_old and self._done() >= strike.done

    def _done(self) -> int:
        """Counts the trials that have a model, by which they are as good as completed."""
        return len(list(self._folder.glob("mlruns/jobs/*/*/model/MLmodel")))

    def _strike(self, strike: Strike, chance: random.Random, absences: ThreadPoolExecutor) -> None:
        self.swept.struck[strike.kind] += 1
        if strike.kind == "server":
            self._absence = absences.submit(self._server.be_absent, chance.uniform(2, 6))
            return
        if strike.kind == "controller":
            self._controller.kill()
            self._controller.wait()
        else:  # as a terminal does it, to all its processes
            os.killpg(self._controller.pid, signal.SIGINT)
            if (code := self._controller.wait(ENDING_S)) != INTERRUPTED:
                self.swept.faults.append(f"sweep: interrupted, it ended with exit code {code}")
        self._start()

    def _look_at_the_end(self, code: int | None, missed: list[Strike], limit: float) -> None:
        if self._absence is not None:
            self._absence.result()
        if code is None:
            self.swept.faults.append(f"sweep: it has not ended within {limit:g} s")
        elif code:
            self.swept.faults.append(f"sweep: it has ended with exit code {code}")
        self.swept.faults += [f"sweep: it ended before this came: {strike}" for strike in missed]
        end = time.monotonic() + LEAVING_S
        while code is not None and processes_in(self._folder) and time.monotonic() < end:
            time.sleep(0.1)
        self.swept.faults += [
            f"processes: {pid} is left, with its output in {output}"
            for pid, output in processes_in(self._folder).items()
        ]
        kill_all_in(self._folder)
        self._controller.wait()


def deal_strikes(given: argparse.Namespace, chance: random.Random) -> list[Strike]:
    """Deals when the sweep is struck: spread over its points, or soon after it has begun again."""
    kinds = ["controller"] * given.controllers + ["interrupt"] * given.interrupts
    kinds += ["server"] * (given.absences if given.server else 0)
    chance.shuffle(kinds)
    strikes = []
    for i, kind in enumerate(kinds):
        done = int(LAST * given.trials * (i + chance.random()) / len(kinds))
        if kind == "controller" and chance.random() < 0.5:
            strikes.append(Strike(kind, 0, chance.uniform(0, STARTING_S)))
        else:
            strikes.append(Strike(kind, max(1, done), chance.uniform(0, 1)))
    return strikes


def grid(n_trials: int) -> tuple[list[dict[str, float]], list[str]]:
    """Gives the points, and the overrides that search them."""
    rates = [round(0.001 * (1 + i), 3) for i in range(n_trials // len(HIDDEN))]
    points = [
        {"model.n_hidden": hidden, "optimizer.learning_rate": rate}
        for hidden, rate in itertools.product(HIDDEN, rates)
    ]
    choices = {"model.n_hidden": HIDDEN, "optimizer.learning_rate": rates}
    return points, [f"{name}=choice({','.join(map(str, v))})" for name, v in choices.items()]


def swept_and_read(
    given: argparse.Namespace, folder: Path, strikes: list[Strike], every: float, seed: int
) -> tuple[Swept, Ledgers]:
    """Runs a sweep in `folder` and reads what it has left."""
    uri = f"sqlite:///{folder}/mlflow.db"
    command = [sys.executable, str(RUN), "-m", *SWEEP, f"hydra.sweeper.n_jobs={given.n_jobs}"]
    command += [*grid(given.trials)[1], *given.override]
    server = Server(folder.with_name(f"{folder.name}-server")) if given.server else None
    try:
        if server is not None:
            server.start()
            uri = server.uri
            command.append(f"tracking.uri={uri}")
        sweep = Sweep(command, folder, server)
        try:
            sweep.run(strikes, every, random.Random(seed), given.limit)
        finally:
            kill_all_in(folder)
        return sweep.swept, Ledgers.read(folder, uri)
    finally:
        if server is not None:
            server.kill()


def row_of(swept: Swept, found: Ledgers, points: list[dict[str, float]]) -> list[str]:
    """Gives a sweep's figures, in the order of the table's columns."""
    tries = len(found.trials)
    by_itself = [t for t in found.trials if "SIGKILL" in t.user_attrs.get("reason", "")]
    figures = [
        swept.kills,
        swept.struck["controller"],
        swept.struck["interrupt"],
        swept.struck["server"],
        tries,
        tries - len(found.completed) - len(by_itself),
        len(losses(found, points)),
        len(swept.faults),
    ]
    return [*map(str, figures), f"{swept.seconds:.0f} s"]


def compare(given: argparse.Namespace, folder: Path) -> bool:
    """Runs all sweeps and prints the table; says whether nothing was lost and nothing is wrong."""
    points, _ = grid(given.trials)
    table = Table(title=f"{given.trials} points on {given.n_jobs} slots", box=None, pad_edge=False)
    table.add_column("")
    columns = ("kills", "controller", "interrupts", "server", "tries", "repaired", "lost", "faults")
    for column in (*columns, "time"):
        table.add_column(column, justify="right")
    told: list[str] = []
    wanted: Ledgers | None = None
    for seed in (None, *given.seed):
        name = "undisturbed" if seed is None else f"seed {seed}"
        chance = random.Random(seed)
        strikes = [] if seed is None else deal_strikes(given, chance)
        print(f"{name}: {strikes}", file=sys.stderr)
        every = 0.0 if seed is None else given.every
        place = folder / name.replace(" ", "-")
        swept, found = swept_and_read(given, place, strikes, every, chance.getrandbits(32))
        wanted = wanted or found
        swept.faults += [*faults(found, points), *differences(found, wanted)]
        table.add_row(name, *row_of(swept, found, points))
        told += [f"{name}: {fault}" for fault in swept.faults]
    console = Console(width=120)
    console.print(table, highlight=False)
    for line in told:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    return not told


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=60, help="points of the grid, an even number")
    parser.add_argument("--seed", type=int, nargs="+", default=[0], help="a disturbed sweep each")
    parser.add_argument("--every", type=float, default=3, help="seconds between killed trials")
    parser.add_argument("--controllers", type=int, default=3, help="how often it is killed")
    parser.add_argument("--interrupts", type=int, default=1, help="how often it gets Ctrl-C")
    parser.add_argument("--server", action="store_true", help="runs go to an MLflow server")
    parser.add_argument("--absences", type=int, default=2, help="how often the server is killed")
    parser.add_argument("--n-jobs", type=int, default=2, help="slots")
    parser.add_argument("--limit", type=float, default=900, help="seconds that a sweep may take")
    parser.add_argument(
        "--override", action="append", default=[], help="for Hydra; may be repeated"
    )
    parser.add_argument("--folder", type=Path, help="a new one, in which all stays")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # and nothing is left running
    if given.trials < len(HIDDEN) or given.trials % len(HIDDEN):
        parser.error(f"--trials {given.trials} is no multiple of {len(HIDDEN)}")
    if given.folder is not None:
        given.folder.mkdir(parents=True)
    folder = (given.folder or Path(tempfile.mkdtemp(prefix="chaos-"))).resolve()
    is_whole = compare(given, folder)
    if not is_whole:
        sys.exit(f"error: something is lost or wrong, see {shlex.quote(str(folder))}")
    if given.folder is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()

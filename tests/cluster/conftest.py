"""A sweep by several workers, its records, and the processes of its workers."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

SOON = "hydra.sweeper.grace_period=4"  # in which a worker that was killed is missed
STEPS = 10  # of a trial of the app
APP = Path(__file__).parent.parent / "apps" / "slow_sphere.py"


class Sweep:
    """A sweep of the app in an empty folder, started as a user would."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.folder = folder
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "CI"))}
        self._output = (folder / "output.txt").open("w")
        self.process = subprocess.Popen(
            [sys.executable, str(APP), "-m", *arguments],
            cwd=folder,
            env={**clean, **environment},
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def ctrl_c(self) -> None:
        """Sends what a terminal sends, to all processes in the foreground."""
        os.killpg(self.process.pid, signal.SIGINT)

    def wait(self, *, seconds: float = 120) -> int:
        return self.process.wait(seconds)

    @property
    def output(self) -> str:
        return (self.folder / "output.txt").read_text()

    @property
    def journal(self) -> Path:
        """The store of a sweep that is told to keep a journal there."""
        return self.folder / "studies.journal"

    def trials(self) -> list[optuna.trial.FrozenTrial]:
        """Gives the trials as Optuna alone reads them."""
        store = f"sqlite:///{self.folder / 'swept' / 'optuna.db'}"
        if self.journal.exists():
            store = JournalStorage(JournalFileBackend(str(self.journal)))
        return optuna.load_study(study_name="slow_sphere-1", storage=store).trials

    def states(self) -> Counter[str]:
        """Gives how many trials are in which state; reads little, as it is asked often."""
        if self.journal.exists():
            with suppress(KeyError):  # the study is not there yet
                return Counter(trial.state.name for trial in self.trials())
        file = self.folder / "swept" / "optuna.db"
        if not file.exists():
            return Counter()
        with closing(sqlite3.connect(file)) as connection:
            return Counter(state for (state,) in connection.execute("select state from trials"))

    def wait_until(self, holds: Callable[[], bool], *, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not holds():
            assert self.process.poll() is None, self.output
            assert time.monotonic() < end, self.output
            time.sleep(0.1)

    def wait_for_trials(self, count: int) -> None:
        self.wait_until(lambda: self.states()["COMPLETE"] >= count)

    def workers(self) -> dict[str, int]:
        """Gives the process of each worker that lives, by the worker's number."""
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal():
                continue
            try:
                files = [file.readlink() for file in (entry / "fd").iterdir()]
            except OSError:
                continue
            for file in files:
                if (
                    file.name == "output.log"
                    and file.parent.parent == self.folder / "swept/workers"
                ):
                    found[file.parent.name] = int(entry.name)
        return found

    def worker_at_step(self, count: int) -> str:
        """Waits for a trial with so many steps in its checkpoint; gives the worker that runs it."""
        found: list[Path] = []

        def look() -> bool:
            for file in self.folder.glob("swept/*/checkpoint/step"):
                with suppress(FileNotFoundError):
                    found.extend([file] if count <= int(file.read_text()) < STEPS - 2 else [])
            return bool(found)

        self.wait_until(look)
        trial = int(found[0].parent.parent.name)
        return self.trials()[trial].user_attrs["worker"]

    def steps_before_retries(self) -> list[int]:
        """Gives after which step of an earlier try each trial went on that tries another again."""
        again = [trial for trial in self.trials() if "retry_of" in trial.user_attrs]
        logs = [(self.folder / f"swept/{trial.number}/output.log").read_text() for trial in again]
        return [int(log.partition("begins after step ")[2].split()[0]) for log in logs]

    def runs(self) -> list[tuple[str, str | None]]:
        """Gives state and trial of each of MLflow's runs, by its own store."""
        with closing(sqlite3.connect(self.folder / "mlflow.db")) as connection:
            return connection.execute(
                "select status, (select value from tags where run_uuid = runs.run_uuid and "
                "key = 'seqsweep.trial') from runs"
            ).fetchall()

    def end(self) -> None:
        for pid in [*self.workers().values(), self.process.pid]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self._output.close()


@pytest.fixture
def sweep(tmp_path, mlflow_store) -> Iterator[Callable[..., Sweep]]:
    """Starts sweeps, and ends what is left of them."""
    started = []

    def start(*arguments: str, **environment: str) -> Sweep:
        started.append(Sweep(tmp_path, *arguments, **environment))
        return started[-1]

    yield start
    for each in started:
        each.end()


def assert_whole(sweep: Sweep, *, finished: int = 12) -> None:
    """Checks that so many trials finished, that others were tried again, and MLflow's runs."""
    trials = sweep.trials()
    states = Counter(trial.state.name for trial in trials)
    assert states["COMPLETE"] + states["PRUNED"] == finished, sweep.output
    assert states.keys() <= {"COMPLETE", "PRUNED", "FAIL"}, states
    retried = {trial.user_attrs["retry_of"] for trial in trials if "retry_of" in trial.user_attrs}
    assert {trial.number for trial in trials if trial.state.name == "FAIL"} == retried
    runs = sweep.runs()
    by_trial = {trial: state for state, trial in runs}
    assert len(by_trial) == len(runs), "a trial has two runs"
    expected = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAIL": "FAILED"}
    known = {str(t.number): expected[t.state.name] for t in trials if "run_key" in t.user_attrs}
    assert {number: by_trial.get(number, known[number]) for number in known} == known
    assert by_trial[None] == "FINISHED"


@pytest.fixture(scope="session")
def soon() -> str:
    return SOON


@pytest.fixture
def whole() -> Callable[..., None]:
    return assert_whole

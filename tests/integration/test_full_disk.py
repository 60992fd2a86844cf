"""A full disk ends a sweep with one sentence, and with more room the same command goes on."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

APP = Path(__file__).parent.parent / "apps" / "learner.py"
SIZE_MB = 24
N_TRIALS = 12
COMMAND = [
    "-m",
    "hydra.sweep.dir=jobs/${hydra.sweeper.study_name}",
    "hydra/sweeper/sampler=grid",
    "hydra.sweeper.n_jobs=2",
    f"x=range(0,{N_TRIALS})",
    "sleep=0.2",
]
SQLITE, JOURNAL = (
    f"hydra.sweeper.storage={place}" for place in ("studies.db", "journal:///studies.journal")
)
MLFLOW, ALONE = [SQLITE], [SQLITE, "hydra.sweeper.tracking.name=none"]
IN_JOURNAL = [JOURNAL, "hydra.sweeper.tracking.name=none"]


@dataclass
class Disk:
    """A small file system at `path`, seen by programs that are started with `prefix`.

    Others see it at `outside`.
    """

    path: Path
    prefix: list[str]
    outside: Path

    def start(self, *arguments: str, cwd: Path | None = None) -> subprocess.Popen:
        env = {k: v for k, v in os.environ.items() if k not in ("CI", "PYTEST_CURRENT_TEST")}
        return subprocess.Popen(
            [
                *self.prefix,
                "env",
                "-C",
                str(cwd or self.path),
                sys.executable,
                str(APP),
                *arguments,
            ],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, cwd: Path | None = None) -> tuple[int, str, str]:
        process = self.start(*arguments, cwd=cwd)
        said, errors = process.communicate(timeout=240)
        return process.returncode, said, errors

    def fill(self) -> None:
        with (self.outside / "fill").open("ab", buffering=0) as file:
            for size in (2**20, 2**12, 1):
                try:
                    while True:
                        file.write(b"\0" * size)
                except OSError:
                    continue

    def make_room(self) -> None:
        (self.outside / "fill").unlink()

    def names(self) -> set[str]:
        return {each.name for each in self.outside.iterdir()} - {"fill"}


@pytest.fixture
def disk(tmp_path) -> Iterator[Disk]:
    """Mounts it, as root or in a name space of its own."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(path)]
    if (
        os.geteuid() == 0
        and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    ):
        yield Disk(path, [], path)
        subprocess.run(["umount", "--lazy", str(path)], check=True)
        return
    script = f"{' '.join(mount)} && echo mounted && exec sleep 1000"
    holder = subprocess.Popen(
        ["unshare", "-rm", "sh", "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = holder.stdout.readline()
    if said != "mounted\n":
        holder.communicate()
        pytest.fail(f"no small file system can be mounted here, by mount or unshare -rm: {said}")
    enter = ["nsenter", "--preserve-credentials", "-U", "-m", "-t", str(holder.pid)]
    yield Disk(path, enter, Path(f"/proc/{holder.pid}/root{path}"))
    holder.kill()
    holder.communicate()


def check(folder: Path, copy: Path, *, tracked: bool) -> None:
    """Looks at a copy of the stores: every point has completed, and no run is left open."""
    shutil.copytree(folder, copy)
    storage = f"sqlite:///{copy}/studies.db"
    if (journal := copy / "studies.journal").exists():
        storage = JournalStorage(JournalFileBackend(str(journal)))
    trials = optuna.load_study(study_name="learner-1", storage=storage).trials
    completed = [t for t in trials if t.state is TrialState.COMPLETE]
    assert sorted(t.params["x"] for t in completed) == list(range(N_TRIALS))
    assert {t.state for t in trials} <= {TrialState.COMPLETE, TrialState.FAIL}
    if tracked:
        client = MlflowClient(f"sqlite:///{copy}/mlflow.db")
        (experiment,) = client.search_experiments(filter_string="name = 'learner'")
        runs = client.search_runs([experiment.experiment_id])
        assert {run.info.status for run in runs} <= {"FINISHED", "FAILED"}
        finished = [run for run in runs if run.info.status == "FINISHED"]
        assert len(finished) == N_TRIALS + 1  # the sweep's own


def sentence(errors: str) -> str:
    (line,) = errors.splitlines()
    assert line.startswith("error: ")
    return line


@pytest.mark.parametrize("tracking", [MLFLOW, ALONE], ids=["mlflow", "alone"])
def test_before_there_is_a_store_nothing_is_left_but_the_sentence(disk, tmp_path, tracking):
    disk.fill()
    code, said, errors = disk.run(*COMMAND, *tracking)
    assert code == 1
    assert said == ""
    assert "hydra.sweeper.storage cannot be opened: database or disk is full" in sentence(errors)
    assert f"with more room in {disk.path} (0.0 MB are left) the same command goes on" in errors
    assert disk.names() == set()
    disk.make_room()
    code, said, errors = disk.run(*COMMAND, *tracking)
    assert code == 0, errors
    assert f"{N_TRIALS} completed" in said
    check(disk.outside, tmp_path / "copy", tracked=tracking is MLFLOW)


@pytest.mark.parametrize(
    "tracking", [MLFLOW, ALONE, IN_JOURNAL], ids=["mlflow", "alone", "in a journal"]
)
def test_in_the_middle_of_trials_the_sweep_ends_and_goes_on_later(disk, tmp_path, tracking):
    process = disk.start(*COMMAND, *tracking)
    end = time.monotonic() + 90
    while not (disk.outside / "jobs" / "learner-1" / "3").exists():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
    disk.fill()
    said, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Traceback" not in said + errors
    told = " ".join((said + errors).split())
    assert "with more room in" in told
    assert "the same command goes on" in told
    disk.make_room()
    code, said, errors = disk.run(*COMMAND, *tracking)
    assert code == 0, errors
    assert f"Sweep learner-1 goes on: {N_TRIALS} trials, of which" in said
    check(disk.outside, tmp_path / "copy", tracked=tracking is MLFLOW)


def test_before_there_is_a_journal_the_sentence_is_the_same(disk, tmp_path):
    disk.fill()
    code, said, errors = disk.run(*COMMAND, *IN_JOURNAL)
    assert (code, said) == (1, "")
    assert "No space left on device" in sentence(errors)
    assert f"with more room in {disk.path}" in errors
    disk.make_room()
    code, said, errors = disk.run(*COMMAND, *IN_JOURNAL)
    assert code == 0, errors
    check(disk.outside, tmp_path / "copy", tracked=False)


def test_a_trial_without_room_ends_the_sweep_before_all_others_fail_too(disk, tmp_path):
    """Its own files are on another disk than the stores."""
    home = tmp_path / "home"
    home.mkdir()
    disk.fill()
    command = [*COMMAND, *MLFLOW, f"log={disk.path}/log"]
    code, said, errors = disk.run(*command, cwd=home)
    assert code == 1
    assert "Traceback" not in said + errors
    assert "No space left on device" in said
    assert "with more room the same command goes on" in " ".join(said.split())
    disk.make_room()
    code, said, errors = disk.run(*command, cwd=home)
    assert code == 0, errors
    assert f"goes on: {N_TRIALS} trials, of which 0 have ended" in said
    check(home, tmp_path / "copy", tracked=True)

"""The command `seqsweep` as a user types it, and folders with real sweeps to look at."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from typer.testing import CliRunner

from seqsweep.cli.app import app

APPS = Path(__file__).parent.parent / "apps"
# So a sweep keeps everything where `seqsweep` looks when it is told of no store.
STORES = ["hydra.sweeper.storage=mlruns/optuna.db", "hydra.sweeper.seed=1"]
STORES += ["hydra.sweep.dir=mlruns/jobs/${hydra.sweeper.study_name}", "hydra.sweeper.n_jobs=1"]

Command = Callable[..., subprocess.CompletedProcess]


@pytest.fixture(scope="session")
def seqsweep(program) -> Command:
    """Runs the command, by its module."""
    return lambda *words, **how: program(Path("-m"), "seqsweep", *words, **how)


@pytest.fixture
def asked(monkeypatch) -> Callable[..., Any]:
    """Runs the command with --json and gives what it says; here, where MLflow is imported once."""

    def ask(*words: str, cwd: Path, **env: str) -> Any:
        with monkeypatch.context() as patched:
            patched.chdir(cwd)
            patched.delenv("MLFLOW_TRACKING_URI", raising=False)
            for name, value in env.items():
                patched.setenv(name, value)
            ended = CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False)
        assert ended.exit_code == 0, ended.output
        return json.loads(ended.stdout)

    return ask


@pytest.fixture(scope="session")
def sweep(program) -> Callable[..., subprocess.CompletedProcess]:
    """Sweeps an app of tests/apps in a folder, which then holds both stores."""

    def run(app: str, *overrides: str, cwd: Path) -> subprocess.CompletedProcess:
        ended = program(APPS / f"{app}.py", "-m", *STORES, *overrides, cwd=cwd)
        assert ended.returncode == 0, ended.stderr
        return ended

    return run


@pytest.fixture(scope="session")
def swept(sweep, tmp_path_factory) -> Path:
    """A folder in which three sweeps have ended; tests read it and write nothing there."""
    folder = tmp_path_factory.mktemp("swept")
    sweep(
        "sphere", "x=choice(1,2,a)", "y=int(interval(-5,5))", "hydra.sweeper.n_trials=8", cwd=folder
    )
    sweep("sphere", "x=interval(-1,1)", "y=choice(3)", "hydra.sweeper.n_trials=4", cwd=folder)
    sweep("two_objectives", "hydra.sweeper.n_trials=9", cwd=folder)
    return folder


@pytest.fixture
def copy_of_swept(swept, tmp_path) -> Path:
    """A copy of that folder, for who breaks something in it."""
    return Path(shutil.copytree(swept, tmp_path / "copy"))


@pytest.fixture(scope="session")
def study(swept, tmp_path_factory) -> Callable[[str], optuna.Study]:
    """Gives a study of that folder as Optuna itself reads it, from a copy: it may write."""
    copy = tmp_path_factory.mktemp("studies")
    for file in (swept / "mlruns").glob("optuna.db*"):  # what was written last is in its log
        shutil.copy(file, copy)
    storage = optuna.storages.RDBStorage(f"sqlite:///{copy}/optuna.db")
    return lambda name: optuna.load_study(study_name=name, storage=storage)

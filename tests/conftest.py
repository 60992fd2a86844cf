"""What several tests need: a copy of the project, and its program as a user runs it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Before TensorFlow is imported by any test.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

Program = Callable[..., subprocess.CompletedProcess]


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's own folder; tests read it and write nothing there."""
    return ROOT


@pytest.fixture(scope="session")
def copy_project(root) -> Callable[[Path], Path]:
    """Copies what a user checks out into an empty folder."""

    def copy(folder: Path) -> Path:
        for name in ("conf", "sweeps", "src", "mlruns"):
            ignored = shutil.ignore_patterns("__pycache__", "jobs", "artifacts", "*.db*")
            shutil.copytree(root / name, folder / name, ignore=ignored, symlinks=True)
        return folder

    return copy


@pytest.fixture
def project(tmp_path, copy_project) -> Path:
    """A copy of the project for one test."""
    return copy_project(tmp_path / "project")


@pytest.fixture(scope="session")
def program() -> Program:
    """Runs a Python script as a user would, and gives what it printed and its exit code."""

    def run(script: Path, *arguments: str, cwd: Path, timeout: float = 240, **env: str):
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MLFLOW_", "HYDRA_", "PYTEST_", "TF_", "KERAS_"))
            and name != "CI"
        }
        return subprocess.run(
            [sys.executable, str(script), *arguments],
            cwd=cwd,
            env={**clean, **env},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run

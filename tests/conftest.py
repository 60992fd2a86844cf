"""What several tests need: a copy of the project, its program as a user runs it, its records."""

import functools
import importlib.util
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore

ROOT = Path(__file__).resolve().parent.parent

# Before TensorFlow is imported by any test.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
# Most tests look at other things, and each sweep would take two seconds longer.
os.environ["SEQSWEEP_REPORT_EVERY"] = "null"

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


@pytest.fixture(scope="session")
def configured(root) -> Callable[..., Any]:
    """Composes the project's config with some overrides, and reads it."""

    def compose_it(*overrides: str) -> Any:
        from seqsweep.config import read

        ConfigStore.instance().store(name="project", node={"root": "/project"})
        with initialize_config_dir(str(root / "conf"), version_base="1.3"):
            return read(compose("config", overrides=list(overrides)))

    return functools.cache(compose_it)


@pytest.fixture(scope="session")
def put_mlflow_store(tmp_path_factory) -> Callable[[Path], None]:
    """Puts an empty store of MLflow's into a folder; to make one there takes a second each time."""
    from seqsweep.tracking.experiment import _build_store  # here, for most tests need none of it

    made = tmp_path_factory.mktemp("store") / "mlflow.db"
    _build_store(made)
    return lambda folder: shutil.copyfile(made, folder / "mlflow.db")


@pytest.fixture
def mlflow_store(request, tmp_path, put_mlflow_store) -> None:
    """Lets a test begin with an empty store of MLflow's in its folder, or in its project's."""
    has_project = "project" in request.fixturenames
    put_mlflow_store(request.getfixturevalue("project") if has_project else tmp_path)


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


@pytest.fixture(scope="session")
def benchmark_module(root) -> Callable[[str], ModuleType]:
    """Loads a module of benchmarks/, which is no package, as another client would be."""

    def load(name: str) -> ModuleType:
        place = root / "benchmarks" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, place)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def mlflow_server(benchmark_module) -> Callable[[Path], Any]:
    """Makes a real MLflow server in a new folder; whoever starts it kills it."""
    return benchmark_module("processes").Server


@pytest.fixture(scope="session")
def postgres(benchmark_module) -> Iterator[Any]:
    """Starts a private PostgreSQL; whoever ends it starts it again."""
    module = benchmark_module("postgres")
    if module.programs() is None:
        pytest.skip("PostgreSQL is not installed")
    server = module.Postgres()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def database(postgres) -> Callable[[], str]:
    """Creates an empty database of that server; gives its address."""
    return lambda: postgres.create(f"of_{uuid.uuid4().hex}")


@pytest.fixture(scope="session")
def mariadb(benchmark_module) -> Iterator[Any]:
    """Starts a private MariaDB; whoever ends it starts it again."""
    module = benchmark_module("mariadb")
    if not module.is_installed():
        pytest.skip("MariaDB is not installed")
    server = module.MariaDB()
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def runs_by_trial() -> Callable[[Path, str], dict[str | None, list]]:
    """Gives the runs of an experiment in a folder's store by trial, None for the sweep's own."""

    def runs(folder: Path, experiment: str) -> dict[str | None, list]:
        from mlflow import MlflowClient  # here, for most tests need none of it

        client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
        (known,) = client.search_experiments(filter_string=f"name = '{experiment}'")
        found: dict[str | None, list] = {}
        for run in client.search_runs([known.experiment_id]):
            found.setdefault(run.data.tags.get("seqsweep.trial"), []).append(run)
        return found

    return runs

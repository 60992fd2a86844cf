"""Installed from a wheel, the sweeper serves any Hydra app of that environment."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

APP = Path(__file__).parent.parent / "apps" / "sphere.py"


@pytest.fixture(scope="module")
def python(tmp_path_factory, root, copy_project) -> Path:
    """An environment of its own with the wheel, and only the libraries of this one."""
    folder = tmp_path_factory.mktemp("wheel")
    source = copy_project(folder / "source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (source / name).write_bytes((root / name).read_bytes())
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    # A path in a .pth file is searched, its own .pth files are not read: the editable install of
    # the environment that runs the tests stays out.
    site = folder / "env" / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    return python


def run(python: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(
        [str(python), *arguments], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )


def test_the_wheel_holds_the_core_and_the_plugin_and_nothing_else(python):
    (wheel,) = python.parent.parent.parent.glob("*.whl")
    names = {Path(name).parts[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == {
        "seqsweep",
        "hydra_plugins",
    }


def test_it_is_the_wheels_code_that_runs(python):
    code = (
        "import seqsweep, hydra_plugins.seqsweep_sweeper as p; print(seqsweep.__file__, p.__file__)"
    )
    ended = run(python, "-c", code, cwd=python.parent)
    assert ended.returncode == 0, ended.stderr
    for path in ended.stdout.split():
        assert Path(path).is_relative_to(python.parent.parent)


def test_the_wheel_brings_the_command(python, tmp_path):
    ended = run(python.with_name("seqsweep"), "--help", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "doctor" in ended.stdout


def test_an_app_elsewhere_finds_the_sweeper_and_sweeps_with_it(python, tmp_path):
    overrides = ["-m", "x=interval(-5,5)", "y=choice(0,1)", "hydra.sweeper.n_trials=3"]
    ended = run(python, str(APP), *overrides, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "3 completed" in ended.stdout
    assert (tmp_path / "mlflow.db").exists()

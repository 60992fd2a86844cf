"""What is preloaded is found beside the app, and a mistake in it is told."""

import shutil
from pathlib import Path

import pytest
from omegaconf import OmegaConf

APP = Path(__file__).parent.parent / "apps" / "preloads.py"
SETTINGS = ["-m", "x=1,2", "hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=1"]
SETTINGS += ["hydra.sweeper.tracking.name=none", "hydra.sweep.dir=swept"]


@pytest.fixture
def app(tmp_path) -> Path:
    """The app in a folder with a module `own`, which prints, and one that cannot be imported."""
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "own.py").write_text("print('own is imported')\n")
    (folder / "broken.py").write_text("raise RuntimeError('it is broken')\n")
    return Path(shutil.copy(APP, folder))


def test_a_module_beside_the_app_is_imported_once_wherever_the_app_is_started(
    program, app, tmp_path
):
    ended = program(app, *SETTINGS, "hydra.sweeper.preload=[own]", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert OmegaConf.load(tmp_path / "swept" / "optimization_results.yaml").best_value == 1.0
    assert "own is imported" not in ended.stdout + ended.stderr
    assert (tmp_path / "swept" / "preload.log").read_text() == "own is imported\n"


def test_a_module_that_cannot_be_imported_is_told_of_and_ends_neither_trials_nor_the_others(
    program, app, tmp_path
):
    modules = "hydra.sweeper.preload=[broken,json.no_such_module,own]"
    ended = program(app, *SETTINGS, modules, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.splitlines() == [
        "hydra.sweeper.preload cannot import broken: RuntimeError: it is broken",
        "hydra.sweeper.preload cannot import json.no_such_module: ModuleNotFoundError: "
        "No module named 'json.no_such_module'",
    ]
    assert OmegaConf.load(tmp_path / "swept" / "optimization_results.yaml").best_value == 1.0


def test_a_module_that_nobody_has_is_an_error_before_anything_is_written(program, app, tmp_path):
    ended = program(app, *SETTINGS, "hydra.sweeper.preload=[sklaern.svm]", cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr == "error: hydra.sweeper.preload: there is no module 'sklaern.svm'\n"
    assert not (tmp_path / "swept").exists()


def test_a_function_is_called_once_with_what_trials_share_and_they_inherit_what_it_loaded(
    program, app, tmp_path
):
    (app.parent / "own.py").write_text(
        "loaded = []\ndef load(cfg):\n    print('loading')\n    loaded.append(cfg.shared.size)\n"
    )
    names = ["hydra.sweeper.preload=['own:load']", "+shared.size=7"]
    ended = program(app, *SETTINGS, *names, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert OmegaConf.load(tmp_path / "swept" / "optimization_results.yaml").best_value == 7.0
    assert (tmp_path / "swept" / "preload.log").read_text() == "loading\n"


def test_a_function_that_fails_is_told_of_and_ends_no_trial(program, app, tmp_path):
    names = "hydra.sweeper.preload=['own:load','json:nosuch']"
    ended = program(app, *SETTINGS, names, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.splitlines() == [
        "hydra.sweeper.preload cannot call own:load: AttributeError: "
        "module 'own' has no attribute 'load'",
        "hydra.sweeper.preload cannot call json:nosuch: AttributeError: "
        "module 'json' has no attribute 'nosuch'",
    ]


def test_a_preload_that_prints_nothing_leaves_no_log(program, app, tmp_path):
    ended = program(app, *SETTINGS, "hydra.sweeper.preload=[json]", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert not (tmp_path / "swept" / "preload.log").exists()

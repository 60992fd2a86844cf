"""The commands that a person is told to type, from what a sweep keeps in its folder."""

import shlex

import pytest
import yaml

from seqsweep.search.report.commands import how_to_go_on, how_to_train_again
from seqsweep.search.study.past import FOLDER, Past


@pytest.fixture
def past(tmp_path):
    """Makes the study of a sweep that has kept such a config in its folder."""

    def make(name="app", task=(), hydra=(), root=None, storage=None):
        config = {
            "root": root,
            "hydra": {
                "job": {"name": name},
                "overrides": {"task": list(task), "hydra": [*hydra, "hydra.mode=MULTIRUN"]},
                "sweeper": {"storage": storage},
            },
        }
        (tmp_path / "multirun.yaml").write_text(yaml.safe_dump(config))
        return Past("app-1", 1, {FOLDER: str(tmp_path)})

    return make


def test_a_sweep_goes_on_by_the_words_that_began_it(past):
    words = ["sweep=cells", "x=tag(log, interval(1, 2))"]
    told = how_to_go_on(past(task=words, hydra=["hydra.sweeper.n_trials=9"], storage="s.db"))
    assert shlex.split(told) == ["python", "app.py", "-m", *words, "hydra.sweeper.n_trials=9"]


def test_without_a_store_of_its_own_the_folder_is_named_in_which_its_study_is(past, tmp_path):
    told = how_to_go_on(past(task=["x=1,2"]))
    assert shlex.split(told) == ["python", "app.py", "-m", "x=1,2", f"hydra.sweep.dir={tmp_path}"]


def test_a_folder_that_is_gone_leaves_the_hint(tmp_path):
    gone = Past("app-1", 1, {FOLDER: str(tmp_path / "gone")})
    assert how_to_go_on(gone) == "the same command goes on"
    assert how_to_train_again(gone, {"x": 1}, "id") is None


def test_the_project_trains_a_run_again_by_its_id(past, root):
    told = how_to_train_again(past("run", root=str(root)), {"model.n_hidden": 8}, "0123")
    assert told == "python src/run.py +rerun=0123"


@pytest.mark.parametrize(("name", "run_id"), [("run", None), ("app", "0123")])
def test_without_the_run_or_in_another_app_the_values_are_given(past, root, name, run_id):
    study = past(name, task=["sweep=tiny", "x=1,2", "y=3"], root=str(root))
    script = "src/run.py" if name == "run" else "app.py"
    words = shlex.split(how_to_train_again(study, {"x": 2, "+new": "a b"}, run_id))
    assert words == ["python", script, "sweep=tiny", "y=3", "x=2", "+new='a b'"]

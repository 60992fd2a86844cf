"""Each example runs as its head says, in a folder of its own, and keeps what it promises."""

import functools
import shlex
import shutil
import subprocess
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
NAMES = sorted(folder.parent.name for folder in EXAMPLES.glob("*/conf"))
# One good trial and one so bad that it falls below the median at its first report.
GOOD_THEN_BAD = {
    "scikit_learn": ["C=1", "gamma=0.01,100"],
    "keras_model": ["filters=8", "dropout=0", "learning_rate=0.01,1e-9"],
}
ONE_BY_ONE = ["hydra/sweeper/sampler=grid", "hydra.sweeper.n_jobs=1"]
ONE_BY_ONE += ["hydra.sweeper.pruner.n_startup_trials=1"]


def head(folder: Path) -> dict[str, str]:
    """Gives what the comment at the head of an example says, by its word."""
    said = {}
    for line in (folder / "conf" / "config.yaml").read_text().splitlines():
        if not line.startswith("# "):
            break
        word, _, text = line.removeprefix("# ").partition(":")
        said[word] = text.strip()
    return said


def sweep(program, folder: Path, *more: str) -> subprocess.CompletedProcess:
    """Runs the command of the example's head in its folder, with more overrides behind it."""
    python, script, *arguments = shlex.split(head(folder)["Command"])
    assert python == "python"
    return program(Path(script), *arguments, *more, cwd=folder)


def trials(folder: Path) -> list[optuna.trial.FrozenTrial]:
    (file,) = folder.rglob("optuna.db")
    storage = f"sqlite:///{file}"
    (name,) = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=name, storage=storage).trials


def runs(folder: Path) -> list[Run]:
    """Gives the runs of the trials, in their order."""
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    found = client.search_runs(
        [experiment.experiment_id for experiment in client.search_experiments()],
        filter_string="tags.`seqsweep.kind` = 'trial'",
    )
    return sorted(found, key=lambda run: int(run.data.tags["seqsweep.trial"]))


def copy(name: str, folder: Path) -> Path:
    """Copies an example out, without what a run of it may have left."""
    left = shutil.ignore_patterns("__pycache__", "mlflow.db*", "mlruns", "multirun", "outputs")
    return Path(shutil.copytree(EXAMPLES / name, folder / name, ignore=left))


@pytest.fixture(scope="module")
def swept(program, tmp_path_factory):
    """Gives the folder of an example that was swept by its own command, and how that ended."""

    @functools.cache
    def run(name: str) -> tuple[Path, subprocess.CompletedProcess]:
        folder = copy(name, tmp_path_factory.mktemp("swept"))
        return folder, sweep(program, folder, "hydra.sweeper.n_trials=2")

    return run


def test_there_are_the_three_examples():
    assert NAMES == ["function", "keras_model", "scikit_learn"]


@pytest.mark.parametrize("name", NAMES)
def test_the_head_of_an_example_says_question_command_cost_and_result(name):
    said = head(EXAMPLES / name)
    assert [word for word in said if word.istitle()] == ["Question", "Command", "Cost", "Result"]
    assert all(said.values())


@pytest.mark.parametrize("name", NAMES)
def test_an_example_copied_out_runs_by_the_command_in_its_head(swept, name):
    folder, ended = swept(name)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    assert [trial.state.name for trial in trials(folder)] == ["COMPLETE"] * 2
    assert [run.info.status for run in runs(folder)] == ["FINISHED"] * 2
    for trial, run in zip(trials(folder), runs(folder), strict=True):
        assert run.data.metrics["objective"] == trial.value


@pytest.mark.parametrize("name", NAMES)
def test_what_an_example_writes_git_does_not_see(swept, name, tmp_path):
    folder, _ = swept(name)
    git = ["git", f"--git-dir={tmp_path}/git", f"--work-tree={folder}"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    command = [*git, "ls-files", "--others", "--exclude-standard"]
    seen = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    fresh = copy(name, tmp_path)
    files = [str(file.relative_to(fresh)) for file in fresh.rglob("*") if file.is_file()]
    assert sorted(seen.stdout.splitlines()) == sorted(files)


@pytest.mark.parametrize("name", GOOD_THEN_BAD)
def test_an_example_that_reports_is_stopped_by_the_pruner(program, tmp_path, name):
    folder = copy(name, tmp_path)
    ended = sweep(program, folder, *ONE_BY_ONE, *GOOD_THEN_BAD[name])
    assert ended.returncode == 0, ended.stderr
    good, bad = trials(folder)
    assert good.state.name == "COMPLETE"
    assert good.value > 0.9
    assert bad.state.name == "PRUNED"
    assert list(bad.intermediate_values) == [1]
    assert [run.info.status for run in runs(folder)] == ["FINISHED", "KILLED"]


@pytest.mark.parametrize(
    ("name", "quick"),
    [("function", []), ("scikit_learn", ["folds=2"]), ("keras_model", ["epochs=1"])],
)
def test_an_example_is_an_ordinary_hydra_app_too(program, tmp_path, name, quick):
    folder = copy(name, tmp_path)
    _, script, _ = shlex.split(head(folder)["Command"])
    ended = program(Path(script), *quick, cwd=folder)
    assert ended.returncode == 0, ended.stderr
    assert not (folder / "mlflow.db").exists()


PREDICT = """
import sys

import mlflow
import numpy

mlflow.set_tracking_uri(sys.argv[1])
probabilities = mlflow.pyfunc.load_model(sys.argv[2]).predict(numpy.zeros((3, 8, 8, 1), "float32"))
print(probabilities.shape, probabilities.sum(axis=1).round(4).tolist())
"""


def test_the_model_of_the_keras_example_loads_without_the_example_and_predicts(
    program, swept, tmp_path
):
    folder, _ = swept("keras_model")
    model = trials(folder)[0].user_attrs["mlflow_model_id"]
    script = tmp_path / "predict.py"
    script.write_text(PREDICT)
    ended = program(script, f"sqlite:///{folder}/mlflow.db", f"models:/{model}", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "(3, 10) [1.0, 1.0, 1.0]"

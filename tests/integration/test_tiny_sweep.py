"""The smoke test: the program as a user runs it, read back by MLflow's and Optuna's own clients."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
from mlflow import MlflowClient
from omegaconf import OmegaConf

CURVES = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")


@pytest.fixture(scope="module")
def project(tmp_path_factory, copy_project) -> Path:
    return copy_project(tmp_path_factory.mktemp("tiny") / "a project's folder")


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="module")
def ended(project, elsewhere, program):
    return program(project / "src" / "run.py", "-m", "sweep=tiny", cwd=elsewhere)


@pytest.fixture(scope="module")
def trial(ended, project):
    assert ended.returncode == 0, ended.stderr
    study = optuna.load_study(
        study_name="tiny-1", storage=f"sqlite:///{project / 'mlruns' / 'optuna.db'}"
    )
    (trial,) = study.trials
    return trial


@pytest.fixture(scope="module")
def client(ended, project):
    return MlflowClient(f"sqlite:///{project / 'mlflow.db'}")


@pytest.fixture(scope="module")
def run(trial, client):
    return client.get_run(trial.user_attrs["mlflow_run_id"])


@pytest.fixture(scope="module")
def sweep_run(run, client):
    return client.get_run(run.data.tags["mlflow.parentRunId"])


def test_the_sweep_ends_well_and_says_what_came_out(ended, trial):
    assert ended.returncode == 0
    assert "Sweep tiny-1: 1 trial on" in ended.stdout
    assert "1 completed" in ended.stdout
    assert f"Best: trial 0, val_accuracy {trial.value:.4f}" in ended.stdout
    assert "ui" in ended.stdout
    assert f"models:/{trial.user_attrs['mlflow_model_id']}" in ended.stdout


def test_nothing_but_the_report_is_on_the_screen(ended):
    assert ended.stderr == ""


def test_the_folder_that_it_was_started_from_stays_empty(ended, elsewhere):
    assert list(elsewhere.iterdir()) == []


def test_nothing_is_written_in_the_project_but_the_store_and_mlruns(trial, project):
    names = {path.name for path in project.iterdir()}
    assert names - {"mlflow.db", "mlflow.db-wal", "mlflow.db-shm"} == {
        "conf",
        "sweeps",
        "src",
        "mlruns",
    }
    assert {path.name for path in (project / "mlruns").iterdir()} - {
        "optuna.db-wal",
        "optuna.db-shm",
    } == {".gitignore", "optuna.db", "jobs", "artifacts"}


def test_the_trial_is_complete_with_a_finite_value_within_the_space(trial):
    assert trial.state is optuna.trial.TrialState.COMPLETE
    assert math.isfinite(trial.value)
    assert trial.params["model.n_hidden"] in (8, 16)
    assert 0 <= trial.params["model.forget_bias"] <= 2
    assert 1e-3 <= trial.params["optimizer.learning_rate"] <= 1e-2


def test_the_trial_has_one_run_and_the_sweep_is_its_parent(trial, run, sweep_run, client):
    runs = client.search_runs([run.info.experiment_id])
    assert {r.info.run_id for r in runs} == {run.info.run_id, sweep_run.info.run_id}
    assert run.info.status == sweep_run.info.status == "FINISHED"
    assert run.data.tags["seqsweep.study"] == sweep_run.data.tags["seqsweep.study"] == "tiny-1"
    assert run.data.tags["seqsweep.trial"] == "0"
    assert run.data.tags["seqsweep.outcome"] == "completed"


def test_the_run_holds_the_searched_and_the_other_values_as_params(trial, run):
    for key, value in trial.params.items():
        assert run.data.params[key] == str(value)
    assert run.data.params["training.training_iters"] == "1200"
    assert run.data.params["data.name"] == "mnist_5k"
    assert not any(key.startswith(("root", "tracking")) for key in run.data.params)


@pytest.mark.parametrize("name", CURVES)
def test_each_curve_has_more_than_one_finite_point_at_growing_steps(run, client, name):
    history = client.get_metric_history(run.info.run_id, name)
    steps = [metric.step for metric in history]
    assert len(steps) > 1
    assert steps == sorted(set(steps))
    assert all(math.isfinite(metric.value) for metric in history)


def test_the_value_is_the_best_point_of_the_validation_curve(trial, run, client):
    history = client.get_metric_history(run.info.run_id, "val_accuracy")
    assert max(metric.value for metric in history) == trial.value
    assert run.data.metrics["objective"] == trial.value
    assert list(trial.intermediate_values.values()) == [metric.value for metric in history]


def test_the_test_set_is_looked_at_once_by_the_best_trial(run, sweep_run, client):
    for each in (run, sweep_run):
        (accuracy,) = client.get_metric_history(each.info.run_id, "test_accuracy")
        assert 0 <= accuracy.value <= 1


def test_the_composed_configuration_is_kept_without_what_is_hidden(trial, run, client, tmp_path):
    path = client.download_artifacts(run.info.run_id, "config.yaml", str(tmp_path))
    config = OmegaConf.load(path)
    assert config.model.n_hidden == trial.params["model.n_hidden"]
    assert "tracking" not in config


def test_the_job_folder_holds_hydras_record_and_the_log(trial, project):
    folder = project / "mlruns" / "jobs" / "tiny-1" / "0"
    overrides = OmegaConf.load(folder / ".hydra" / "overrides.yaml")
    assert f"model.n_hidden={trial.params['model.n_hidden']}" in overrides
    assert (folder / "run.log").exists()
    assert (folder / "output.log").exists()


def test_the_run_names_the_data_that_it_trained_and_validated_on(run):
    inputs = {tag.value: each.dataset for each in run.inputs.dataset_inputs for tag in each.tags}
    assert inputs.keys() == {"training", "validation"}
    assert {dataset.name for dataset in inputs.values()} == {"mnist_5k"}
    from seqsweep.config import Mnist5kConfig
    from seqsweep.data import load

    digits = load(Mnist5kConfig(name="mnist_5k", n_validation=500))
    for name, split in (("training", digits.train), ("validation", digits.validation)):
        assert split.digest.startswith(inputs[name].digest)


def test_the_run_shows_how_the_model_does_class_by_class(run, client, tmp_path):
    files = {file.path for file in client.list_artifacts(run.info.run_id, "validation")}
    assert files == {
        "validation/confusion_matrix.json",
        "validation/confusion_matrix.png",
        "validation/mistakes.png",
    }
    path = client.download_artifacts(run.info.run_id, min(files), str(tmp_path))
    table = pd.read_json(path, orient="split")
    counts = table.drop(columns="truth").to_numpy()
    assert counts.sum() == 500
    assert counts.trace() / 500 == run.data.metrics["objective"]
    recalls = [run.data.metrics[f"validation/recall_{digit}"] for digit in range(10)]
    assert recalls == pytest.approx(counts.diagonal() / counts.sum(axis=1))


def test_the_run_says_how_long_it_took_and_how_fast_it_was(run):
    metrics = run.data.metrics
    took_s = (run.info.end_time - run.info.start_time) / 1000
    assert 0 < metrics["duration_s"] <= took_s
    # 1,200 samples less the last batch, in less than the trial took
    assert metrics["samples_per_s"] > 1100 / took_s


PREDICT = """
import sys
import mlflow, numpy as np
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(sys.argv[2])
images = np.load(sys.argv[3])
np.save(sys.argv[4], model.predict(images))
assert not any(name.split(".")[0] == "seqsweep" for name in sys.modules), "the project is loaded"
assert model.metadata.signature is not None
assert model.metadata.saved_input_example_info is not None
"""


def test_the_model_predicts_elsewhere_with_the_accuracy_that_its_run_recorded(
    trial, run, project, tmp_path
):
    """In a process that cannot import this project; the images are read by NumPy alone."""
    from seqsweep.config import Mnist5kConfig
    from seqsweep.data import load

    test = load(Mnist5kConfig(name="mnist_5k", n_validation=500)).test
    np.save(tmp_path / "images.npy", test.x)
    arguments = [
        f"sqlite:///{project / 'mlflow.db'}",
        f"models:/{trial.user_attrs['mlflow_model_id']}",
        str(tmp_path / "images.npy"),
        str(tmp_path / "probabilities.npy"),
    ]
    ended = subprocess.run(
        [sys.executable, "-I", "-c", PREDICT, *arguments],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    probabilities = np.load(tmp_path / "probabilities.npy")
    assert probabilities.shape == (500, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    accuracy = float((probabilities.argmax(axis=1) == test.y).mean())
    assert accuracy == pytest.approx(run.data.metrics["test_accuracy"], abs=1e-9)


def test_a_second_sweep_begins_a_study_with_the_next_number(trial, project, elsewhere, program):
    again = program(project / "src" / "run.py", "-m", "sweep=tiny", cwd=elsewhere)
    assert again.returncode == 0, again.stderr
    assert "Sweep tiny-2: 1 trial on" in again.stdout
    studies = optuna.get_all_study_names(f"sqlite:///{project / 'mlruns' / 'optuna.db'}")
    assert sorted(studies) == ["tiny-1", "tiny-2"]


def test_a_study_that_is_named_again_is_extended_not_doubled(
    trial, run, project, elsewhere, program, client
):
    named = ["hydra.sweeper.study_name=tiny-1", "hydra.sweeper.n_trials=2"]
    ended = program(project / "src" / "run.py", "-m", "sweep=tiny", *named, cwd=elsewhere)
    assert ended.returncode == 0, ended.stderr
    assert "Sweep tiny-1 goes on: 2 trials, of which 1 have ended" in ended.stdout
    url = f"sqlite:///{project / 'mlruns' / 'optuna.db'}"
    assert len(optuna.load_study(study_name="tiny-1", storage=url).trials) == 2
    wanted = "tags.`seqsweep.study` = 'tiny-1' and tags.`seqsweep.kind` = 'sweep'"
    assert len(client.search_runs([run.info.experiment_id], wanted)) == 1

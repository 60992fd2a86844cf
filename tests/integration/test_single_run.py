"""One training run by itself, as a user starts it and as MLflow shows it."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from seqsweep.config import Mnist5kConfig
from seqsweep.data import load

SHORT = ["training.epochs=null", "training.training_iters=1000", "model.n_hidden=8"]
SHORT += ["training.display_step=2", "training.validate_every=0.1"]


@pytest.fixture(scope="module")
def project(tmp_path_factory, copy_project) -> Path:
    return copy_project(tmp_path_factory.mktemp("single") / "project")


def latest_run(project: Path, name: str = "seqsweep"):
    client = MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    (experiment,) = client.search_experiments(filter_string=f"name = '{name}'")
    return client, client.search_runs([experiment.experiment_id], max_results=1)[0]


@pytest.fixture(scope="module")
def ended(project, program):
    return program(project / "src" / "run.py", *SHORT, cwd=project.parent)


def test_it_shows_each_validation_and_the_test_once(ended):
    assert ended.returncode == 0, ended.stderr
    assert len(re.findall(r"%  val_loss \d\.\d+  val_accuracy 0\.\d+", ended.stdout)) == 2
    assert ended.stdout.count("test_accuracy") == 1
    assert ended.stderr == ""


def test_it_leaves_a_finished_run_with_curves_a_test_and_a_model(ended, project):
    client, run = latest_run(project)
    assert run.info.status == "FINISHED"
    assert run.data.tags["seqsweep.kind"] == "single"
    assert run.data.params["model.n_hidden"] == "8"
    for curve in ("train_loss", "train_accuracy", "val_loss", "val_accuracy"):
        assert client.get_metric_history(run.info.run_id, curve)
    assert len(client.get_metric_history(run.info.run_id, "test_accuracy")) == 1
    assert {each.dataset.name for each in run.inputs.dataset_inputs} == {"mnist_5k"}
    assert len(run.inputs.dataset_inputs) == 2
    assert len(client.list_artifacts(run.info.run_id, "validation")) == 3
    assert {"duration_s", "samples_per_s", "validation/recall_9"} <= run.data.metrics.keys()
    (model,) = run.outputs.model_outputs
    assert client.get_logged_model(model.model_id).status == "READY"
    assert f"test_accuracy {run.data.metrics['test_accuracy']:.4f}" in ended.stdout


def test_the_run_of_a_sweeps_trial_is_this_run_to_the_last_bit(ended, project, program):
    """What a sweep found can be had again: same values, same seed, same curve."""
    client, single = latest_run(project)
    arguments = [*SHORT, "model.n_hidden=8,16"]
    arguments += ["hydra/sweeper/sampler=grid", "tracking.experiment=swept"]
    swept = program(project / "src" / "run.py", "-m", *arguments, cwd=project.parent)
    assert swept.returncode == 0, swept.stderr
    (experiment,) = client.search_experiments(filter_string="name = 'swept'")
    (run,) = client.search_runs([experiment.experiment_id], "params.`model.n_hidden` = '8'")
    for curve in ("train_loss", "val_loss"):
        mine, other = (
            [(m.step, m.value) for m in client.get_metric_history(each.info.run_id, curve)]
            for each in (single, run)
        )
        assert mine == other


@pytest.fixture(scope="module")
def tutorial(project, program):
    return program(
        project / "src" / "run.py",
        "+experiment=tutorial",
        "training.training_iters=4000",
        "tracking.experiment=tutorial",
        cwd=project.parent,
    )


def test_the_tutorial_prints_the_tutorials_lines_and_no_other(tutorial):
    assert tutorial.returncode == 0, tutorial.stderr
    lines = tutorial.stdout.splitlines()
    number = r"\d+\.\d"
    for line, samples in zip(lines[:3], (1280, 2560, 3840), strict=True):
        pattern = (
            rf"Iter {samples}, Minibatch Loss= {number}{{6}}, Training Accuracy= {number}{{5}}"
        )
        assert re.fullmatch(pattern, line)
    assert lines[3] == "Optimization Finished!"
    assert re.fullmatch(r"Testing Accuracy: 0\.\d+", lines[4])
    assert len(lines) == 5


def test_the_tutorials_numbers_are_mlflows_curves(tutorial, project):
    client, run = latest_run(project, "tutorial")
    losses = client.get_metric_history(run.info.run_id, "train_loss")
    accuracies = client.get_metric_history(run.info.run_id, "train_accuracy")
    printed = [
        f"Iter {loss.step}, Minibatch Loss= {loss.value:.6f}, "
        f"Training Accuracy= {accuracy.value:.5f}"
        for loss, accuracy in zip(losses, accuracies, strict=True)
    ]
    assert tutorial.stdout.splitlines()[:3] == printed
    assert (
        tutorial.stdout.splitlines()[4] == f"Testing Accuracy: {run.data.metrics['test_accuracy']}"
    )


def test_the_tutorial_tests_on_the_first_128_images(tutorial, project):
    _, run = latest_run(project, "tutorial")
    right = run.data.metrics["test_accuracy"] * 128
    assert right == pytest.approx(round(right), abs=1e-9)
    assert len(load(Mnist5kConfig(name="mnist_5k", n_validation=500)).test.y) == 500


def test_a_training_that_diverges_ends_as_failed_with_that_reason(project, program):
    ended = program(
        project / "src" / "run.py",
        *SHORT,
        "optimizer.learning_rate=1e38",
        "tracking.experiment=diverged",
        cwd=project.parent,
    )
    assert ended.returncode == 1
    assert re.fullmatch(r"error: the loss is no longer finite .*\n", ended.stderr)
    _, run = latest_run(project, "diverged")
    assert run.info.status == "FAILED"
    assert "no longer finite" in run.data.tags["seqsweep.reason"]


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupted_run_ends_as_failed_and_with_exit_code_130(project, name):
    experiment = f"interrupted by {name}"
    command = [sys.executable, str(project / "src" / "run.py"), "training.epochs=1000"]
    process = subprocess.Popen(
        [*command, f"tracking.experiment='{experiment}'"],
        cwd=project.parent,
        env={k: v for k, v in os.environ.items() if k != "CI"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline()  # the first validation
    process.send_signal(signal.Signals[name])
    began = time.monotonic()
    _, said = process.communicate(timeout=60)
    assert time.monotonic() - began < 20
    assert process.returncode == 130
    assert "Traceback" not in said
    _, run = latest_run(project, experiment)
    assert run.info.status == "FAILED"
    assert run.data.tags["seqsweep.reason"] == "interrupted"

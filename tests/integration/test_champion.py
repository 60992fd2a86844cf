"""The winner of a sweep, from the registry over HTTP, is as good as the record says."""

import json
import os
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from mlflow import MlflowClient

from seqsweep import data
from seqsweep.config import Mnist5kConfig

NAME = "seqsweep-mnist_5k"
SWEEP = ("-m", "sweep", "hydra.sweeper.n_trials=2", "training.epochs=2", "devices=cpu")


@pytest.fixture(scope="module")
def project(tmp_path_factory, copy_project) -> Path:
    return copy_project(tmp_path_factory.mktemp("champion") / "project")


@pytest.fixture(scope="module")
def swept(project, program):
    ended = program(
        project / "src" / "run.py", *SWEEP, cwd=project, SEQSWEEP_REPORT_EVERY="60", timeout=400
    )
    assert ended.returncode == 0, ended.stderr
    return ended


@pytest.fixture(scope="module")
def client(swept, project) -> MlflowClient:
    return MlflowClient(f"sqlite:///{project / 'mlflow.db'}")


@pytest.fixture(scope="module")
def champion(client):
    return client.get_model_version_by_alias(NAME, "champion")


@pytest.fixture(scope="module")
def sweep_run(client, champion):
    trial = client.get_run(champion.run_id)
    return client.get_run(trial.data.tags["mlflow.parentRunId"])


@pytest.fixture(scope="module")
def test_split():
    return data.load(Mnist5kConfig("mnist_5k", 500)).test


def invoke(address: str, images: np.ndarray) -> np.ndarray:
    request = urllib.request.Request(
        f"{address}/invocations",
        json.dumps({"inputs": images.tolist()}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return np.array(json.load(answer)["predictions"])


def test_served_over_http_the_champion_is_as_accurate_as_recorded(
    project, champion, client, test_split, served
):
    words = ["models", "serve", "-m", f"models:/{NAME}@champion", "--env-manager", "local"]
    env = {
        "MLFLOW_TRACKING_URI": f"sqlite:///{project / 'mlflow.db'}",
        # as in an activated environment: MLflow starts uvicorn by its name
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    with served(sys.executable, *words, folder=project, answers="ping", **env) as address:
        parts = [invoke(address, test_split.x[i : i + 100]) for i in range(0, 500, 100)]
    probabilities = np.concatenate(parts)
    assert probabilities.shape == (500, 10)
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(500), abs=1e-5)
    right = probabilities.argmax(axis=1) == test_split.y
    recorded = client.get_run(champion.run_id).data.metrics["test_accuracy"]
    assert right.mean() == pytest.approx(recorded, abs=1e-9)
    # of a hundred digits alone, as a first look would have it
    low, high = scipy.stats.binom.interval(0.9999, 100, recorded)
    assert low <= right[:100].sum() <= high


def test_the_recorded_accuracy_has_the_interval_that_scipy_gives(champion, client, sweep_run):
    for run in (client.get_run(champion.run_id), sweep_run):
        metrics = run.data.metrics
        right = round(500 * metrics["test_accuracy"])
        theirs = scipy.stats.binomtest(right, 500).proportion_ci(0.95, method="wilson")
        assert metrics["test_accuracy_95_low"] == pytest.approx(theirs.low)
        assert metrics["test_accuracy_95_high"] == pytest.approx(theirs.high)


def test_the_card_says_how_good_it_is_and_how_it_is_called(champion, client):
    metrics = client.get_run(champion.run_id).data.metrics
    assert f"**Test accuracy {metrics['test_accuracy']:.4f}**" in champion.description
    assert f'mlflow.pyfunc.load_model("models:/{NAME}@champion")' in champion.description
    assert f"mlflow models serve -m models:/{NAME}@champion" in champion.description


def test_no_other_trial_has_seen_the_test_set(champion, client, sweep_run):
    runs = client.search_runs(
        [sweep_run.info.experiment_id],
        f"tags.`mlflow.parentRunId` = '{sweep_run.info.run_id}'",
    )
    tested = [run.info.run_id for run in runs if "test_accuracy" in run.data.metrics]
    assert len(runs) == 2
    assert tested == [champion.run_id]


def test_the_sweeps_run_holds_its_report_its_figures_and_its_table(
    project, client, sweep_run, monkeypatch
):
    files = {file.path for file in client.list_artifacts(sweep_run.info.run_id, "report")}
    assert {"report/report.md", "report/figures.html", "report/trials.json"} <= files
    pictures = client.list_artifacts(sweep_run.info.run_id, "report/figures")
    names = {Path(file.path).stem for file in pictures}
    assert {"optimization_history", "slice", "timeline", "intermediate_values"} <= names
    assert "sweep.yaml" in {file.path for file in client.list_artifacts(sweep_run.info.run_id)}
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project / 'mlflow.db'}")
    table = client.load_table(
        sweep_run.info.experiment_id, "report/trials.json", [sweep_run.info.run_id]
    )
    assert list(table["trial"]) == [0, 1]
    said = sweep_run.data.tags["mlflow.note.content"]
    assert "**Best.** Trial" in said
    assert f"test_accuracy {sweep_run.data.metrics['test_accuracy']:.4f}" in said


def test_the_screen_says_which_version_is_the_champion(swept):
    assert f"models:/{NAME}@champion is now version 1" in swept.stdout


def test_the_same_sweep_again_leaves_the_champion_where_it_is(swept, project, program, client):
    again = program(project / "src" / "run.py", *SWEEP, "seed=0", cwd=project, timeout=400)
    assert again.returncode == 0, again.stderr
    assert int(client.get_model_version_by_alias(NAME, "champion").version) == 1
    assert "is no champion: version 1 stays that, with test_accuracy" in again.stdout

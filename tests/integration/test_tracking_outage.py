"""A tracking server that is killed and restarted, or never comes back, loses nothing."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient
from optuna.trial import TrialState

APP = Path(__file__).parent.parent / "apps" / "learner.py"
STEPS = 4
TRIALS = 8


@pytest.fixture
def server(tmp_path, mlflow_server):
    server = mlflow_server(tmp_path / "server")
    server.start()
    yield server
    server.kill()


def wait_until(holds: Callable[[], bool], *, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.1)


def begin(folder: Path, server, *more: str) -> subprocess.Popen:
    """Starts a sweep over x = 0 … 7, two at a time, of which each says its loss four times."""
    command = [sys.executable, str(APP), "-m", "hydra/sweeper/sampler=grid"]
    command += [f"x=range(0,{TRIALS})", f"steps={STEPS}", "sleep=0.5", "hydra.sweeper.n_jobs=2"]
    command += ["hydra.sweeper.storage=studies.db", f"hydra.sweeper.tracking.uri={server.uri}"]
    return subprocess.Popen(
        [*command, *more],
        cwd=folder,
        env={k: v for k, v in os.environ.items() if k != "CI" and not k.startswith("MLFLOW_")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def completed(folder: Path) -> int:
    try:
        study = optuna.load_study(study_name="learner-1", storage=f"sqlite:///{folder}/studies.db")
    except Exception:  # it does not exist yet
        return 0
    return len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))


def assert_nothing_is_lost(server) -> None:
    """Each trial has one finished run below the sweep's, with each point of its curve once."""
    client = MlflowClient(server.uri)
    (experiment,) = client.search_experiments(filter_string="name = 'learner'")
    runs = client.search_runs([experiment.experiment_id])
    (sweep,) = [run for run in runs if run.data.tags["seqsweep.kind"] == "sweep"]
    assert sweep.info.status == "FINISHED"
    trials = {run.data.params["x"]: run for run in runs if run is not sweep}
    assert len(runs) == len(trials) + 1 == TRIALS + 1
    for x, run in trials.items():
        assert run.info.status == "FINISHED"
        assert run.data.tags["mlflow.parentRunId"] == sweep.info.run_id
        history = client.get_metric_history(run.info.run_id, "loss")
        curve = [(step, int(x) ** 2 + 1 / step) for step in range(1, STEPS + 1)]
        assert [(m.step, m.value) for m in history] == curve
        assert [m.value for m in client.get_metric_history(run.info.run_id, "objective")] == [
            curve[-1][1]
        ]
        assert {f.path for f in client.list_artifacts(run.info.run_id)} == {"config.yaml"}
        assert run.info.end_time >= history[-1].timestamp


def test_a_server_that_is_killed_and_restarted_twice_during_a_sweep_loses_nothing(tmp_path, server):
    sweep = begin(tmp_path, server, "hydra.sweeper.tracking.wait=300")
    for trials in (1, 4):
        wait_until(lambda trials=trials: completed(tmp_path) >= trials, seconds=90)
        server.kill()
        wait_until(lambda trials=trials: completed(tmp_path) >= trials + 2, seconds=90)
        server.start()
    said, errors = sweep.communicate(timeout=300)
    assert sweep.returncode == 0, said + errors
    assert f"the MLflow store {server.uri} fails: " in said
    assert "what it is to record waits in" in said
    assert "the MLflow store is back" in said
    assert completed(tmp_path) == TRIALS
    assert_nothing_is_lost(server)
    assert list(tmp_path.rglob("unsent.jsonl")) == []


def test_what_a_server_that_never_came_back_did_not_get_is_sent_by_the_command_that_is_named(
    tmp_path, server
):
    sweep = begin(tmp_path, server, "hydra.sweeper.tracking.wait=1")
    wait_until(lambda: completed(tmp_path) >= 2, seconds=90)
    server.kill()
    said, errors = sweep.communicate(timeout=120)
    assert sweep.returncode == 1, errors
    assert "Traceback" not in said + errors
    assert f"{TRIALS} completed" in said  # training went on
    (sentence,) = [line for line in said.splitlines() if "could not be sent" in line]
    command = sentence.rpartition("send them with `")[2].rstrip("`")
    refused = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: the MLflow store http://127.0.0.1:")
    server.start()
    sent = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert sent.returncode == 0, sent.stderr
    assert sent.stdout.startswith("sent ")
    client = MlflowClient(server.uri)
    (experiment,) = client.search_experiments(filter_string="name = 'learner'")
    (own,) = client.search_runs([experiment.experiment_id], "tags.`seqsweep.kind` = 'sweep'")
    assert own.info.status == "FINISHED"
    assert_nothing_is_lost(server)
    assert list(tmp_path.rglob("unsent.jsonl")) == []


def test_a_sweep_that_was_killed_while_the_server_was_away_sends_the_rest_when_it_goes_on(
    tmp_path, server
):
    sweep = begin(tmp_path, server)
    wait_until(lambda: completed(tmp_path) >= 2, seconds=90)
    server.kill()
    wait_until(lambda: completed(tmp_path) >= 4, seconds=90)
    sweep.kill()
    sweep.communicate()
    away = begin(tmp_path, server)
    _, errors = away.communicate(timeout=60)
    assert away.returncode == 1
    assert errors.startswith("error: the MLflow store http://127.0.0.1:")
    server.start()
    again = begin(tmp_path, server)
    said, errors = again.communicate(timeout=120)
    assert again.returncode == 0, errors
    assert "Sweep learner-1 goes on" in said
    client = MlflowClient(server.uri)
    (experiment,) = client.search_experiments(filter_string="name = 'learner'")
    runs = client.search_runs([experiment.experiment_id])
    failed = [run for run in runs if run.info.status == "FAILED"]
    reason = "the sweep was ended while this trial ran"
    assert {run.data.tags["seqsweep.reason"] for run in failed} <= {reason}
    for run in failed:  # leave those that were finished
        client.delete_run(run.info.run_id)
    assert_nothing_is_lost(server)

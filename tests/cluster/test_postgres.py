"""A PostgreSQL that holds the study, or MLflow's records too, is away amid a sweep."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import optuna
import psycopg
import pytest
from mlflow import MlflowClient
from optuna.trial import TrialState

APP = Path(__file__).parent.parent / "apps" / "sphere.py"
N_TRIALS = 400
WORKERS = ["hydra/launcher=joblib", "hydra.sweeper.n_workers=8", "hydra.sweeper.n_jobs=1"]
COMMAND = [
    "-m",
    "hydra.sweep.dir=jobs",
    "hydra/sweeper/sampler=random",
    f"hydra.sweeper.n_trials={N_TRIALS}",
    "hydra.sweeper.grace_period=20",
    "x=interval(-1.0,1.0)",
    "y=interval(-1.0,1.0)",
]

pytestmark = pytest.mark.cluster


@pytest.fixture
def server(tmp_path, mlflow_server, database):
    server = mlflow_server(tmp_path / "server", database())
    server.start()
    yield server
    server.kill()


def n_completed(url: str) -> int:
    """Counts by PostgreSQL's own client."""
    try:
        with psycopg.connect(url) as connection:
            found = connection.execute("SELECT count(*) FROM trials WHERE state = 'COMPLETE'")
            return found.fetchone()[0]
    except psycopg.Error:  # no tables yet
        return 0


def wait_for(url: str, n_trials: int, sweep: subprocess.Popen) -> None:
    end = time.monotonic() + 200
    while n_completed(url) < n_trials:
        assert sweep.poll() is None, "the sweep has ended"
        assert time.monotonic() < end, f"{n_completed(url)} of {n_trials} trials"
        time.sleep(0.2)


def test_eight_workers_finish_each_of_400_trials_once_over_two_restarts(
    tmp_path, database, postgres, server, program
):
    url = database()
    without = url.replace(f":{postgres.password}", "")
    stores = [f"hydra.sweeper.storage={without}", f"hydra.sweeper.tracking.uri={server.uri}"]
    clean = {k: v for k, v in os.environ.items() if k not in ("CI", "PYTEST_CURRENT_TEST")}
    sweep = subprocess.Popen(
        [sys.executable, str(APP), *COMMAND, *WORKERS, *stores],
        cwd=tmp_path,
        env={**clean, "PGPASSWORD": postgres.password},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(url, N_TRIALS // 4, sweep)
    postgres.restart("fast")
    wait_for(url, N_TRIALS // 2, sweep)
    postgres.stop("immediate")
    time.sleep(2)
    postgres.start()
    said, errors = sweep.communicate(timeout=240)
    assert (sweep.returncode, errors) == (0, ""), said[-2000:] + errors
    assert f"{N_TRIALS} completed" in said
    assert postgres.password not in said

    study = optuna.load_study(study_name="sphere-1", storage=url)
    completed = [t for t in study.get_trials() if t.state is TrialState.COMPLETE]
    assert len(completed) == N_TRIALS
    assert all(t.value == t.params["x"] ** 2 + t.params["y"] ** 2 for t in completed)
    # Where a restart took the answer to who had asked for a trial, that has never begun
    assert all(not t.params for t in study.get_trials() if t not in completed)

    client = MlflowClient(server.uri)
    (experiment,) = client.search_experiments(filter_string="name = 'sphere'")
    runs = client.search_runs([experiment.experiment_id], max_results=10_000)
    assert {run.info.status for run in runs} == {"FINISHED"}
    by_trial = Counter(run.data.tags.get("seqsweep.trial") for run in runs)
    assert by_trial == {None: 1, **{str(trial.number): 1 for trial in completed}}
    values = {run.data.tags.get("seqsweep.trial"): run.data.metrics["objective"] for run in runs}
    assert all(values[str(trial.number)] == trial.value for trial in completed)
    (file,) = client.list_artifacts(next(r.info.run_id for r in runs if r.data.params.get("x")))
    assert file.path == "config.yaml"  # by way of the server, which keeps it
    status = program(Path("-m"), "seqsweep", "status", f"--storage={url}", "--json", cwd=tmp_path)
    assert status.returncode == 0, status.stderr
    (row,) = json.loads(status.stdout)["sweeps"]
    assert (row["state"], row["counts"]["completed"]) == ("ended", N_TRIALS)
    for file in tmp_path.rglob("*"):
        if file.is_file():
            assert postgres.password.encode() not in file.read_bytes(), file
    study._storage._backend.engine.dispose()


def test_ctrl_c_ends_a_sweep_in_seconds_while_the_server_is_away_and_the_same_command_goes_on(
    sweep, database, postgres
):
    url = database()
    command = [f"hydra.sweeper.storage={url}", "hydra.sweeper.n_jobs=2", "hydra.sweeper.n_trials=6"]
    command += ["hydra.sweeper.tracking.name=none", "seconds=0.5"]
    interrupted = sweep(*command)
    interrupted.wait_until(lambda: n_completed(url) >= 1)
    postgres.stop("immediate")
    try:
        time.sleep(2)
        interrupted.ctrl_c()
        assert interrupted.wait(seconds=40) == 130, interrupted.output
    finally:
        postgres.start()
    assert "the same command goes on where this stood" in interrupted.output
    assert "Traceback" not in interrupted.output
    again = sweep(*command)
    assert again.wait() == 0, again.output
    assert n_completed(url) == 6

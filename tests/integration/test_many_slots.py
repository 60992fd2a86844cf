"""Many slots write to both stores at once, and nothing of it is lost."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import optuna
from mlflow import MlflowClient
from optuna.trial import TrialState

APP = Path(__file__).parent.parent / "apps" / "sphere.py"
COMMAND = [
    "-m",
    "hydra.sweeper.storage=studies.db",
    "hydra.sweep.dir=jobs/${hydra.sweeper.study_name}",
    "hydra/sweeper/sampler=random",
    "x=interval(-1.0,1.0)",
    "y=interval(-1.0,1.0)",
]


def check(folder: Path, name: str, n_trials: int) -> None:
    """Counts the study's trials and their runs."""
    study = optuna.load_study(study_name=name, storage=f"sqlite:///{folder}/studies.db")
    trials = study.get_trials()
    assert [t.state for t in trials] == [TrialState.COMPLETE] * n_trials
    assert [t.number for t in trials] == list(range(n_trials))
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    (experiment,) = client.search_experiments(filter_string="name = 'sphere'")
    ids = [experiment.experiment_id]
    runs = client.search_runs(ids, f"tags.`seqsweep.study` = '{name}'")
    by_id = {run.info.run_id: run for run in runs}
    assert len(by_id) == n_trials + 1  # the sweep's own
    for trial in trials:
        run = by_id[trial.user_attrs["mlflow_run_id"]]
        assert run.info.status == "FINISHED"
        assert run.data.metrics["objective"] == trial.value
        assert float(run.data.params["x"]) == trial.params["x"]


def test_sixteen_slots_lose_nothing(program, tmp_path):
    more = ["hydra.sweeper.n_jobs=16", "hydra.sweeper.n_trials=64"]
    ended = program(APP, *COMMAND, *more, cwd=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stderr == ""
    assert "64 completed" in ended.stdout
    check(tmp_path, "sphere-1", 64)
    with sqlite3.connect(tmp_path / "mlflow.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_two_sweeps_of_eight_slots_on_the_same_stores_lose_nothing(tmp_path):
    more = ["hydra.sweeper.n_jobs=8", "hydra.sweeper.n_trials=24"]
    sweeps = [
        subprocess.Popen(
            [sys.executable, str(APP), *COMMAND, *more],
            cwd=tmp_path,
            env={k: v for k, v in os.environ.items() if k not in ("CI", "PYTEST_CURRENT_TEST")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    for sweep in sweeps:
        said, _ = sweep.communicate(timeout=240)
        assert sweep.returncode == 0, said
        assert "24 completed" in said
    for name in ("sphere-1", "sphere-2"):
        check(tmp_path, name, 24)

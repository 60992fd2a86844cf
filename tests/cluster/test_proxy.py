"""The proxy of a sweep's store is killed amid the sweep, and started again."""

import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from optuna.storages import GrpcStorageProxy

APP = Path(__file__).parent.parent / "apps" / "sphere.py"
N_TRIALS = 60
COMMAND = [
    "-m",
    "hydra.sweep.dir=jobs",
    "hydra/launcher=joblib",
    "hydra.sweeper.n_workers=3",
    "hydra.sweeper.n_jobs=1",
    "hydra/sweeper/sampler=random",
    f"hydra.sweeper.n_trials={N_TRIALS}",
    "hydra.sweeper.grace_period=10",
    "x=interval(-1.0,1.0)",
    "y=interval(-1.0,1.0)",
]

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
]


class Proxy:
    """The command, before a file in a folder; its standard error goes where that of tests goes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def start(self) -> None:
        command = ["proxy", "--storage", "studies.db", "--port", str(self.port)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "seqsweep", *command],
            cwd=self._folder,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout.readline().startswith("serves studies.db")

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def proxy(tmp_path):
    proxy = Proxy(tmp_path)
    proxy.start()
    yield proxy
    proxy.kill()


def n_completed(file: Path) -> int:
    with closing(sqlite3.connect(file)) as connection:
        found = connection.execute("SELECT count(*) FROM trials WHERE state = 'COMPLETE'")
        return found.fetchone()[0]


def test_three_workers_finish_each_trial_once_over_a_proxy_that_is_killed(
    tmp_path, proxy, runs_by_trial
):
    store = f"hydra.sweeper.storage=grpc://127.0.0.1:{proxy.port}"
    sweep = subprocess.Popen(
        [sys.executable, str(APP), *COMMAND, store],
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if k not in ("CI", "PYTEST_CURRENT_TEST")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + 100
    while n_completed(tmp_path / "studies.db") < N_TRIALS // 3:
        assert sweep.poll() is None, sweep.communicate()
        assert time.monotonic() < end
        time.sleep(0.1)
    proxy.kill()
    time.sleep(1)
    proxy.start()
    said, errors = sweep.communicate(timeout=200)
    assert sweep.returncode == 0, said + errors
    assert f"{N_TRIALS} completed" in said
    assert "fork_posix" not in said + errors
    storage = GrpcStorageProxy(port=proxy.port)  # Optuna's own client
    trials = optuna.load_study(study_name="sphere-1", storage=storage).trials
    storage.close()
    states = Counter(trial.state.name for trial in trials)
    retried = [trial for trial in trials if "retry_of" in trial.user_attrs]
    assert (states["COMPLETE"], states["FAIL"]) == (N_TRIALS, len(retried))
    assert states.keys() <= {"COMPLETE", "FAIL"}
    for trial in trials:
        if trial.state.name == "COMPLETE":
            assert trial.value == trial.params["x"] ** 2 + trial.params["y"] ** 2
    runs = runs_by_trial(tmp_path, "sphere")
    finished = {t for t, (run,) in runs.items() if t and run.info.status == "FINISHED"}
    assert finished == {str(t.number) for t in trials if t.state.name == "COMPLETE"}

"""`seqsweep status` against Optuna's own reading of the same studies, in each of their states."""

import contextlib
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

LEARNER = Path(__file__).parent.parent / "apps" / "learner.py"
WORDS = {
    TrialState.COMPLETE: "completed",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}
# Each trial would go on for a minute.
LONG = ["hydra.sweeper.storage=mlruns/optuna.db", "hydra.sweeper.n_trials=3", "steps=600"]
LONG += ["hydra.sweep.dir=mlruns/jobs/${hydra.sweeper.study_name}", "hydra.sweeper.n_jobs=1"]
LONG += ["hydra.sweeper.tracking.name=none", "x=interval(0,1)", "sleep=0.1"]


def files(folder: Path) -> dict[Path, tuple[int, bytes] | None]:
    return {
        path: None if path.match("*-shm") else (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("name", ["sphere-1", "sphere-2", "two_objectives-1"])
def test_a_sweep_is_told_as_optuna_reads_it(asked, swept, study, name):
    (told,) = [each for each in asked("status", cwd=swept)["sweeps"] if each["name"] == name]
    direct = study(name)
    counts = Counter(WORDS[trial.state] for trial in direct.trials)
    assert {word: n for word, n in told["counts"].items() if n} == counts
    assert list(told["objectives"].values()) == [d.name.lower() for d in direct.directions]
    assert told["last_trial_ended"] == max(t.datetime_complete for t in direct.trials).isoformat()
    assert told["n_trials"] == len(direct.trials)
    assert (told["state"], told["ended_by"]) == ("ended", "n_trials")
    best = {trial.number: trial.values for trial in direct.best_trials}
    assert {each["trial"]: each["values"] for each in told["best"]} == best


def test_all_sweeps_are_told_and_the_store_is_found(seqsweep, swept):
    said = seqsweep("status", cwd=swept).stdout
    rows = {line.split()[0]: line for line in said.splitlines()[1:]}
    assert list(rows) == ["sphere-1", "sphere-2", "two_objectives-1"]
    for row in rows.values():
        assert "ended by n_trials" in row
        assert " ago" in row
    assert "8/8" in rows["sphere-1"]
    assert "on the front" in rows["two_objectives-1"]


def test_the_trials_of_a_sweep_are_told_as_optuna_reads_them(asked, swept, study):
    told = asked("status", "sphere-1", cwd=swept)["trials"]
    direct = study("sphere-1").trials
    assert [t["params"] for t in told] == [t.params for t in direct]
    assert [t["values"] for t in told] == [t.values for t in direct]
    assert [t["state"] for t in told] == [WORDS[t.state] for t in direct]
    assert {"completed", "failed"} == {t["state"] for t in told}
    assert all("TypeError" in t["reason"] for t in told if t["state"] == "failed")


def test_the_table_of_a_sweep_is_that_of_its_report(seqsweep, sweep, tmp_path):
    reported = sweep("sphere", "x=range(0,4)", "hydra/sweeper/sampler=grid", cwd=tmp_path).stdout
    said = seqsweep("status", "sphere-1", cwd=tmp_path).stdout
    lines = reported.splitlines()
    (begin,) = [i for i, line in enumerate(lines) if line.startswith("trial ")]
    assert lines[begin + 5].startswith("4 completed")
    assert "\n".join(lines[begin : begin + 6]) in said


def test_of_how_many_trials_is_told_as_last_asked_for(asked, sweep, tmp_path):
    words = ["x=interval(0,1)", "hydra.sweeper.study_name=mine", "hydra.sweeper.tracking.name=none"]
    for n_trials in (2, 3):
        sweep("sphere", *words, f"hydra.sweeper.n_trials={n_trials}", cwd=tmp_path)
        (told,) = asked("status", cwd=tmp_path)["sweeps"]
        assert (told["n_settled"], told["n_trials"]) == (n_trials, n_trials)


def test_a_base_name_is_the_last_sweep_of_that_base(asked, swept):
    assert asked("status", "sphere", cwd=swept)["name"] == "sphere-2"


def test_a_name_that_no_sweep_has_is_told_with_those_there_are(seqsweep, swept):
    ended = seqsweep("status", "cube", cwd=swept)
    assert ended.returncode == 1
    assert "no sweep 'cube'; there are sphere-1, sphere-2, two_objectives-1" in ended.stderr


def test_commands_that_read_write_nothing(seqsweep, swept):
    """Both stores have a write-ahead log; only its index, shared memory, is the readers' too."""
    before = files(swept)
    for words in (["status"], ["status", "sphere-1"], ["best", "sphere-1"]):
        assert seqsweep(*words, cwd=swept).returncode == 0
    words = ["compare", "sphere-1/0", "sphere-1/1"]
    assert seqsweep(*words, cwd=swept).returncode == 0
    assert files(swept) == before


def test_a_store_at_rest_gets_no_log_beside_it(seqsweep, copy_of_swept):
    stores = [copy_of_swept / "mlruns" / "optuna.db", copy_of_swept / "mlflow.db"]
    for store in stores:
        with contextlib.closing(sqlite3.connect(store)) as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = files(copy_of_swept)
    assert not any(path.name.endswith(("-wal", "-shm")) for path in before)
    assert seqsweep("status", cwd=copy_of_swept).returncode == 0
    assert seqsweep("compare", "sphere-1/0", "sphere-1/1", cwd=copy_of_swept).returncode == 0
    assert files(copy_of_swept) == before


def test_a_study_of_optuna_alone_is_told_too(asked, tmp_path):
    url = f"sqlite:///{tmp_path}/own.db"
    study = optuna.create_study(study_name="own", storage=url, direction="maximize")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    (told,) = asked("status", "--storage", url, cwd=tmp_path)["sweeps"]
    assert (told["name"], told["state"], told["n_trials"]) == ("own", "unknown", None)
    assert told["best"] == [{"trial": study.best_trial.number, "values": [study.best_value]}]


@pytest.fixture
def running(tmp_path):
    """A sweep whose first trial has reported; its own process group is ended after the test."""
    process = subprocess.Popen(
        [sys.executable, str(LEARNER), "-m", *LONG],
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if k != "CI"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    end = time.monotonic() + 60
    while not _reports(tmp_path / "mlruns" / "optuna.db"):
        assert time.monotonic() < end, process.communicate()
        time.sleep(0.2)
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def _reports(store: Path) -> bool:
    if not store.exists():  # it is made whole, and Optuna would make it in its place
        return False
    try:
        study = optuna.load_study(study_name="learner-1", storage=f"sqlite:///{store}")
        return bool(study.trials[0].last_step)
    except (KeyError, IndexError):  # the study or the trial is not there yet
        return False


def test_a_sweep_at_work_is_running_and_goes_on_undisturbed(asked, seqsweep, running, tmp_path):
    for _ in range(3):
        (told,) = asked("status", cwd=tmp_path)["sweeps"]
        assert (told["state"], told["go_on"]) == ("running", None)
        assert told["counts"]["running"] == 1
        assert (told["n_settled"], told["n_trials"]) == (0, 3)
    assert "running on this host" in seqsweep("status", cwd=tmp_path).stdout
    assert running.poll() is None


def test_an_interrupted_sweep_is_told_with_the_command_that_goes_on(asked, running, tmp_path):
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    (told,) = asked("status", cwd=tmp_path)["sweeps"]
    assert (told["state"], told["counts"]["failed"], told["n_settled"]) == ("interrupted", 1, 0)
    python, script, *words = shlex.split(told["go_on"])
    assert (python, script) == ("python", "learner.py")
    again = subprocess.Popen(
        [sys.executable, "-u", str(LEARNER), *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        assert "Sweep learner-1 goes on" in again.stdout.readline()
    finally:
        os.killpg(again.pid, signal.SIGKILL)
        again.communicate()


def test_a_killed_sweep_is_told_as_interrupted(asked, running, tmp_path):
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    (told,) = asked("status", cwd=tmp_path)["sweeps"]
    assert (told["state"], told["counts"]["running"]) == ("interrupted", 1)

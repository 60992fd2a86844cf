"""A sweep that was interrupted or killed goes on where it stood, in both stores."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

APP = Path(__file__).parent.parent / "apps" / "learner.py"
pytestmark = pytest.mark.usefixtures("mlflow_store")
STORE = ["hydra.sweeper.storage=studies.db", "hydra.sweep.dir=jobs/${hydra.sweeper.study_name}"]
GRID = ["hydra/sweeper/sampler=grid", "hydra.sweeper.n_jobs=2", "x=range(0,8)"]
COMMAND = ["-m", *STORE, *GRID, "sleep=0.3"]


def study(folder: Path, number: int = 1) -> optuna.Study:
    return optuna.load_study(
        study_name=f"learner-{number}", storage=f"sqlite:///{folder}/studies.db"
    )


def end_in_the_middle(folder: Path, name: str, *more: str) -> int:
    """Starts the sweep, sends the signal once two trials have completed, gives the exit code."""
    process = subprocess.Popen(
        [sys.executable, str(APP), *COMMAND, *more],
        cwd=folder,
        env={k: v for k, v in os.environ.items() if k != "CI"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 90
    while not (folder / "studies.db").exists() or _completed(folder) < 2:
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.1)
    process.send_signal(signal.Signals[name])
    return process.wait(timeout=60)


def _completed(folder: Path) -> int:
    try:
        return len(study(folder).get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
    except Exception:  # it does not exist yet
        return 0


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_the_same_command_goes_on_with_a_sweep_that_was_ended(
    program, tmp_path, runs_by_trial, name
):
    code = end_in_the_middle(tmp_path, name)
    assert code == (-signal.SIGKILL if name == "SIGKILL" else 130)
    before = {t.number: t.values for t in study(tmp_path).trials if t.values}
    ended = program(APP, *COMMAND, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "Sweep learner-1 goes on: 8 trials, of which" in ended.stdout
    assert "8 completed" in ended.stdout
    trials = study(tmp_path).trials
    assert {t.state for t in trials} <= {TrialState.COMPLETE, TrialState.FAIL}
    completed = [t for t in trials if t.state is TrialState.COMPLETE]
    assert sorted(t.params["x"] for t in completed) == list(range(8))
    assert {n: trials[n].values for n in before} == before
    for trial in trials:
        if trial.state is TrialState.FAIL:
            (again,) = [t for t in trials if t.user_attrs.get("retry_of") == trial.number]
            assert again.params.items() >= trial.params.items()
    by_trial = runs_by_trial(tmp_path, "learner")
    (sweep_run,) = by_trial.pop(None)  # reopened, not doubled
    assert sweep_run.info.status == "FINISHED"
    assert "seqsweep.reason" not in sweep_run.data.tags
    states = {"COMPLETE": "FINISHED", "FAIL": "FAILED"}
    for trial in trials:
        for run in by_trial.pop(str(trial.number), []):
            assert run.info.status == states[trial.state.name]
            assert run.data.tags["mlflow.parentRunId"] == sweep_run.info.run_id
    assert by_trial == {}


def test_a_sweep_that_was_finished_is_followed_by_a_new_one_and_by_name_it_is_extended(
    program, tmp_path
):
    for number in (1, 2):
        ended = program(APP, *COMMAND, "hydra.sweeper.n_trials=3", cwd=tmp_path)
        assert f"Sweep learner-{number}: 3 trials of the 8 points" in ended.stdout
    named = "hydra.sweeper.study_name=learner-1"
    ended = program(APP, *COMMAND, named, "hydra.sweeper.n_trials=5", cwd=tmp_path)
    assert "Sweep learner-1 goes on: 5 trials of the 8 points, of which 3 have" in ended.stdout
    assert [t.params["x"] for t in study(tmp_path).trials] == list(range(5))
    again = program(APP, *COMMAND, named, "hydra.sweeper.n_trials=5", cwd=tmp_path)
    assert again.returncode == 0
    assert len(study(tmp_path).trials) == 5


def test_a_sweep_that_was_killed_before_its_study_was_made_begins_with_the_same_command(
    program, tmp_path
):
    """It has left the file that it made to take its folder; nothing is in it yet."""
    command = [*COMMAND, "hydra.sweeper.study_name=mine", "hydra.sweeper.n_trials=1"]
    file = tmp_path / "jobs" / "mine" / "multirun.yaml"
    file.parent.mkdir(parents=True)
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused = program(APP, *command, cwd=tmp_path)
    assert refused.returncode == 1
    assert "hydra.sweeper.study_name='mine' is taken" in refused.stderr
    ended = program(APP, *command, cwd=tmp_path)
    assert "Sweep mine: 1 trial" in ended.stdout, ended.stderr


def test_a_study_that_searched_otherwise_is_refused_by_name_with_the_difference(program, tmp_path):
    assert program(APP, *COMMAND, "hydra.sweeper.n_trials=1", cwd=tmp_path).returncode == 0
    named = "hydra.sweeper.study_name=learner-1"
    ended = program(APP, *COMMAND, named, "x=range(0,9)", "steps=4", cwd=tmp_path)
    assert ended.returncode == 1
    (sentence,) = ended.stderr.splitlines()
    assert "hydra.sweeper.study_name='learner-1' has searched otherwise" in sentence
    assert '"high": 7' in sentence
    assert '"high": 8' in sentence
    assert "steps: 3 then, 4 now" in sentence
    assert len(study(tmp_path).trials) == 1


def test_without_a_name_another_search_is_a_new_study_and_says_why(program, tmp_path):
    end_in_the_middle(tmp_path, "SIGKILL")
    ended = program(APP, *COMMAND, "steps=2", "hydra.sweeper.n_trials=1", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    says = "learner-1 was not finished, but searched otherwise: steps: 3 then, 2 now"
    assert says in ended.stdout
    assert "Sweep learner-2: 1 trial" in ended.stdout


def test_what_does_not_change_the_result_may_change(program, tmp_path):
    """Other slots, another sampler, more trials and retries; the folder of the tracking store."""
    end_in_the_middle(tmp_path, "SIGTERM")
    more = ["hydra.sweeper.n_jobs=1", "hydra.sweeper.max_retries=1", "hydra/sweeper/pruner=median"]
    ended = program(APP, *COMMAND, *more, cwd=tmp_path)
    assert "Sweep learner-1 goes on" in ended.stdout
    assert ended.returncode == 0, ended.stderr


def test_fresh_begins_anew(program, tmp_path):
    end_in_the_middle(tmp_path, "SIGTERM")
    more = ["hydra.sweeper.fresh=true", "hydra.sweeper.n_trials=1"]
    assert "Sweep learner-2: 1 trial" in program(APP, *COMMAND, *more, cwd=tmp_path).stdout


def test_a_study_that_is_being_run_is_run_by_no_other_sweep(program, tmp_path):
    running = subprocess.Popen(
        [sys.executable, str(APP), *COMMAND, "sleep=2"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + 60
        while not list(tmp_path.glob("jobs/learner-1/0")):
            assert time.monotonic() < end
            time.sleep(0.1)
        arguments = [*COMMAND, "sleep=2", "hydra.sweeper.n_trials=1"]
        named = program(APP, *arguments, "hydra.sweeper.study_name=learner-1", cwd=tmp_path)
        assert named.returncode == 1
        assert "is being run by another sweep now" in named.stderr
        beside = program(APP, *arguments, cwd=tmp_path)
        assert "Sweep learner-2: 1 trial" in beside.stdout
    finally:
        running.kill()
        running.wait()


def test_a_study_in_the_sweeps_own_folder_goes_on_there(program, tmp_path):
    command = ["-m", "hydra.sweeper.tracking.name=none", *GRID]  # the app's folder is `swept`
    ended = program(APP, *command, "fails_with_seed=0", "hydra.sweeper.n_trials=2", cwd=tmp_path)
    assert ended.returncode == 1
    named = [*command, "fails_with_seed=0", "hydra.sweeper.study_name=learner-1"]
    more = program(APP, *named, "hydra.sweeper.n_trials=3", cwd=tmp_path)
    assert "Sweep learner-1 goes on: 3 trials of the 8 points, of which 2 have" in more.stdout

"""A study in a store that several hosts reach is run by one sweep at a time."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from seqsweep.search.study.holder import HOLDER, Holder, take
from seqsweep.search.study.past import mend
from seqsweep.search.study.store.base import Store
from seqsweep.search.study.store.opening import open_storage
from seqsweep.tracking.none import NoTracking

APP = Path(__file__).parent.parent / "apps" / "learner.py"
GRACE_S = 4
COMMAND = [
    "-m",
    "hydra.sweeper.storage=studies.db",
    "hydra.sweep.dir=jobs/${hydra.sweeper.study_name}",
    "hydra/sweeper/sampler=grid",
    "hydra.sweeper.n_jobs=2",
    f"hydra.sweeper.grace_period={GRACE_S}",
    "x=range(0,4)",
]
SLOW = "sleep=5"
NAMED = "hydra.sweeper.study_name=learner-1"

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


@pytest.fixture
def sweep(tmp_path):
    """Starts a sweep whose trials take 15 s; gives it once two of them run."""
    process = subprocess.Popen(
        [sys.executable, str(APP), *COMMAND, SLOW],
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if k != "CI"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_until(lambda: len(list(tmp_path.glob("jobs/learner-1/[01]/output.log"))) == 2, process)
    yield process
    process.kill()
    process.communicate()


def wait_until(holds, process: subprocess.Popen) -> None:
    end = time.monotonic() + 90
    while not holds():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.fixture
def storage(sweep, tmp_path) -> Store:
    return open_storage(str(tmp_path / "studies.db"), grace_period=GRACE_S)


@pytest.fixture
def study(storage) -> optuna.Study:
    return optuna.load_study(study_name="learner-1", storage=storage)


def test_a_study_of_another_host_is_refused_while_that_is_heard_of_and_goes_on_after(
    program, tmp_path, sweep, study
):
    theirs = replace(Holder.read(study.user_attrs), host="elsewhere")
    study.set_user_attr(HOLDER, asdict(theirs))
    refused = program(APP, *COMMAND, SLOW, NAMED, cwd=tmp_path)
    assert refused.returncode == 1
    (sentence,) = refused.stderr.splitlines()
    assert sentence.startswith(
        "error: hydra.sweeper.study_name='learner-1' is being run on the host elsewhere, "
        "which was heard of "
    )
    assert "should it have died, wait " in sentence
    assert "give another name" in sentence
    beside = [*COMMAND, SLOW, "hydra.sweeper.n_trials=1", "hydra.sweeper.trial_timeout=1"]
    unnamed = program(APP, *beside, cwd=tmp_path)
    assert "learner-1 is being run on the host elsewhere" in unnamed.stdout
    assert "Sweep learner-2: 1 trial" in unnamed.stdout
    assert TrialState.FAIL not in {t.state for t in study.get_trials()}

    sweep.send_signal(signal.SIGKILL)
    sweep.wait()
    for _ in range(10):  # the grace period may not be over yet
        ended = program(APP, *COMMAND, SLOW, NAMED, cwd=tmp_path)
        if ended.returncode == 0:
            break
        assert "is being run on the host elsewhere" in ended.stderr
    assert "Sweep learner-1 goes on: 4 trials" in ended.stdout
    trials = study.get_trials()
    lost = [t.number for t in trials if t.state is TrialState.FAIL]
    assert 1 <= len(lost) <= 2
    assert [t.user_attrs["retry_of"] for t in trials if "retry_of" in t.user_attrs] == lost
    completed = [t for t in trials if t.state is TrialState.COMPLETE]
    assert sorted(t.params["x"] for t in completed) == list(range(4))
    assert Holder.read(study.user_attrs) is None


def test_a_sweep_that_slept_while_another_went_on_with_its_study_ends_and_says_so(
    tmp_path, sweep, storage, study, runs_by_trial
):
    sweep.send_signal(signal.SIGSTOP)
    before = Holder.read(study.user_attrs)
    other = take(storage, study._study_id, before)
    other = replace(other, host="elsewhere")
    study.set_user_attr(HOLDER, asdict(other))
    assert mend(study, NoTracking(), "") == 2
    sweep.send_signal(signal.SIGCONT)
    said, _ = sweep.communicate(timeout=90)
    assert sweep.returncode == 1, said
    assert "Traceback" not in said
    assert "another sweep went on with learner-1 on the host elsewhere" in said
    assert f"was not heard of for longer than {GRACE_S} s" in said
    states = [trial.state for trial in study.get_trials()]
    assert states == [TrialState.FAIL] * 2 + [TrialState.WAITING] * 2  # the other's, untouched
    assert Holder.read(study.user_attrs) == other
    by_trial = runs_by_trial(tmp_path, "learner")
    for number in ("0", "1"):
        (run,) = by_trial[number]
        assert run.info.status == "FAILED"
        assert run.data.tags["seqsweep.reason"] == "its worker was not heard of any more"
    (sweep_run,) = by_trial[None]
    assert sweep_run.info.status == "RUNNING"  # which is the other's to end


def test_a_sweep_that_slept_for_longer_than_the_grace_period_goes_on(tmp_path, sweep, study):
    sweep.send_signal(signal.SIGSTOP)
    time.sleep(GRACE_S + 2)
    sweep.send_signal(signal.SIGCONT)
    said, _ = sweep.communicate(timeout=120)
    assert sweep.returncode == 0, said
    assert [t.state for t in study.get_trials()] == [TrialState.COMPLETE] * 4

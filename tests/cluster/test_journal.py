"""Workers in processes that share a journal file, as those of several hosts would."""

import os
import signal

import pytest

pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
pytestmark = pytest.mark.cluster
THREE = ["hydra/launcher=joblib", "hydra.sweeper.n_workers=3"]
JOURNAL = "hydra.sweeper.storage=journal:///studies.journal"


def test_a_worker_that_is_killed_costs_no_trial_and_none_is_run_twice(sweep, whole, soon):
    three = sweep(*THREE, JOURNAL, soon, "seconds=1")
    three.wait_for_trials(3)
    os.kill(three.workers()[three.worker_at_step(3)], signal.SIGKILL)
    assert three.wait() == 0, three.output
    whole(three)
    assert "12 trials on 3 workers (joblib)" in three.output
    assert not (three.folder / "swept" / "optuna.db").exists()
    beside = {path.name for path in three.folder.glob("studies.journal*")}
    assert beside == {"studies.journal", "studies.journal.beats"}


def test_many_short_trials_overshoot_by_none_and_the_same_command_goes_on_with_more(sweep):
    many = [*THREE, JOURNAL, "seconds=0", "hydra.sweeper.tracking.name=none"]
    first = sweep(*many, "hydra.sweeper.n_trials=30")
    assert first.wait() == 0, first.output
    assert first.states() == {"COMPLETE": 30}
    named = "hydra.sweeper.study_name=slow_sphere-1"
    again = sweep(*many, named, "hydra.sweeper.n_trials=40")
    assert again.wait() == 0, again.output
    assert "of which 30 have ended" in again.output
    assert again.states() == {"COMPLETE": 40}

"""What a worker makes of Optuna's answers."""

import optuna
import pytest
from optuna.trial import TrialState

from seqsweep.search.study.store.opening import open_storage
from seqsweep.search.workers.session import _came_too_late

pytestmark = [
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
]


def test_a_trial_that_others_took_for_lost_just_before_it_ended_is_known_as_such(tmp_path):
    place = str(tmp_path / "studies.db")
    study = optuna.create_study(storage=open_storage(place, grace_period=60))
    another = open_storage(place, grace_period=60)

    def objective(trial: optuna.Trial) -> float:
        another.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        return 0.0

    with pytest.raises((AssertionError, ValueError), match="Should not reach") as raised:
        study.optimize(objective, n_trials=1)
    assert _came_too_late(raised.value)
    assert not _came_too_late(ValueError("of the user's"))

"""What a trial's failure to get its values is taken for."""

from types import SimpleNamespace
from unittest.mock import Mock

import optuna
import pytest
from optuna.exceptions import StorageInternalError

from seqsweep.search.study.store.opening import open_storage
from seqsweep.search.workers.objective import Objective, TrialFailedError

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:Heartbeat of storage is supposed to be used with:UserWarning"
    ),
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
]


@pytest.fixture
def study(place):
    storage = open_storage(place, grace_period=60)
    yield optuna.create_study(storage=storage)
    storage.close()


@pytest.fixture
def run(study, settings):
    """Runs a trial that gets its values so, by a runner that says that it fails."""

    def run(suggest) -> None:
        plan = SimpleNamespace(settings=settings(max_retries=3), suggest=suggest)
        runner = Mock()
        runner.fail.side_effect = lambda _trial, _params, failed: failed
        runner.interrupt.hands_back = False
        budget = Mock(stopped_by=None)
        display = Mock()
        display.trial.return_value.__enter__ = Mock()
        display.trial.return_value.__exit__ = Mock(return_value=False)
        objective = Objective(plan, study, runner, budget, display, worker=None)
        objective(SimpleNamespace(name="cpu"), study.ask())

    return run


def test_a_store_that_fails_as_values_are_written_is_no_fault_of_the_point(run, study, monkeypatch):
    def fail(*_arguments, **_named) -> None:
        raise StorageInternalError("no answer")

    def suggest(trial: optuna.Trial) -> dict[str, float]:
        monkeypatch.setattr(trial.storage, "set_trial_param", fail)
        return {"x": trial.suggest_float("x", 0, 1)}

    with pytest.raises(StorageInternalError, match="no answer"):
        run(suggest)
    (trial,) = study.get_trials()
    assert "reason" not in trial.user_attrs


def test_a_point_that_cannot_be_made_fails_and_is_not_tried_again(run, study):
    def suggest(_trial: optuna.Trial) -> dict[str, float]:
        raise ValueError("no such value")

    with pytest.raises(TrialFailedError, match="no such value"):
        run(suggest)
    assert len(study.get_trials()) == 1

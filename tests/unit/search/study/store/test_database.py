"""What a database does beyond what every store must."""

import math
import time
from concurrent.futures import ThreadPoolExecutor

import optuna
import pytest
import sqlalchemy
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState

from seqsweep.search.study.store.base import why_it_failed
from seqsweep.search.study.store.database import Database
from seqsweep.search.study.store.opening import open_storage


def test_reading_sqlite_does_not_wait_for_who_writes(tmp_path):
    writer, reader = (open_storage(str(tmp_path / "studies.db"), grace_period=60) for _ in "ab")
    study = optuna.create_study(storage=writer)
    study.enqueue_trial({})
    with writer.engine.begin(), ThreadPoolExecutor(1) as pool:  # holds the write lock
        read = pool.submit(reader.get_all_trials, study._study_id)
        assert len(read.result(timeout=20)) == 1  # else it would wait for 60 s


@pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed to be used with:UserWarning")
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_what_a_store_has_failed_by_is_told_although_optuna_raises_another_error(
    tmp_path, monkeypatch
):
    study = optuna.create_study(storage=open_storage(str(tmp_path / "studies.db"), grace_period=60))

    def fail(*_arguments) -> None:
        raise sqlalchemy.exc.OperationalError("UPDATE", {}, OSError("the server is gone"))

    def objective(_trial: optuna.Trial) -> float:
        for name in ("set_trial_state_values", "get_trial"):
            monkeypatch.setattr(Database, name, fail)
        return 0.0

    with pytest.raises(Exception, match="updated_state") as raised:
        study.optimize(objective, n_trials=1)
    assert "the server is gone" in why_it_failed(raised.value)
    assert why_it_failed(ValueError("of no store")) == "of no store"


SERVERS = ("postgres", "mariadb")
DATABASES = pytest.mark.parametrize(
    "place",
    ["sqlite", *(pytest.param(each, marks=pytest.mark.cluster) for each in SERVERS)],
    indirect=True,
)


@pytest.fixture
def storage(place):
    storage = open_storage(place, grace_period=60)
    yield storage
    storage.close()


def written_by(storage: RDBStorage, trial_id: int, how: type) -> None:
    """Writes what a trial does; `how` is whose methods do it."""
    for attribute in ("first", "second"):
        how.set_trial_user_attr(storage, trial_id, "é", [attribute, None, 1e-9])
    how.set_trial_user_attr(storage, trial_id, "n", {"a": True})
    z, c = FloatDistribution(0, 1), CategoricalDistribution([None, "é'"])
    how._set_trial_param(storage, trial_id, "z", 0.1 + 0.2, z, z)
    how._set_trial_param(storage, trial_id, "c", 1, c, None)
    how._set_trial_param(storage, trial_id, "z", 0.5, z, z)  # there is one already
    for step, value in enumerate([1e-9, math.nan, math.inf, -math.inf, 0.1 + 0.2]):
        how.set_trial_intermediate_value(storage, trial_id, step, value)
    how.set_trial_intermediate_value(storage, trial_id, 0, 3.0)


@DATABASES
def test_a_trial_is_written_as_optuna_writes_it(storage):
    study_id = storage.create_new_study([StudyDirection.MINIMIZE])
    ours, theirs = (storage.create_new_trial(study_id) for _ in range(2))
    written_by(storage, ours, Database)
    written_by(storage, theirs, RDBStorage)
    found, expected = (RDBStorage.get_trial(storage, each) for each in (ours, theirs))
    assert (
        found.user_attrs == expected.user_attrs == {"é": ["second", None, 1e-9], "n": {"a": True}}
    )
    assert found.params == expected.params == {"z": 0.1 + 0.2, "c": "é'"}
    assert found.distributions == expected.distributions
    assert repr(found.intermediate_values) == repr(expected.intermediate_values)
    assert repr(found.intermediate_values) == f"{{0: 3.0, 1: nan, 2: inf, 3: -inf, 4: {0.1 + 0.2}}}"


@DATABASES
def test_what_has_ended_or_is_not_there_is_written_nothing(storage):
    trial_id = storage.create_new_trial(storage.create_new_study([StudyDirection.MINIMIZE]))
    z = FloatDistribution(0, 1)
    with pytest.raises(ValueError, match="different distribution"):
        storage._set_trial_param(trial_id, "z", 1.0, IntDistribution(0, 1), z)
    storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [1.0])
    for number, error in ((trial_id, UpdateFinishedTrialError), (trial_id + 9, KeyError)):
        with pytest.raises(error):
            storage.set_trial_user_attr(number, "a", 1)
        with pytest.raises(error):
            storage.set_trial_intermediate_value(number, 0, 1.0)
        with pytest.raises(error):
            storage._set_trial_param(number, "z", 0.5, z, z)
    assert storage.get_trial(trial_id).params == storage.get_trial(trial_id).user_attrs == {}


@DATABASES
def test_each_beat_is_heard_of(storage):
    study_id = storage.create_new_study([StudyDirection.MINIMIZE])
    trial_id = storage.create_new_trial(study_id)
    assert storage.silences(study_id) == {trial_id: None}
    storage.beat(trial_id)
    time.sleep(1.1)
    assert storage.silences(study_id)[trial_id] >= 1
    storage.beat(trial_id)
    assert storage.silences(study_id)[trial_id] < 1

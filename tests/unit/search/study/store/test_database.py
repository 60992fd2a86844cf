"""What the store of studies reads, against Optuna's own reading of the same file."""

import datetime
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
from optuna.trial import TrialState, create_trial

from seqsweep.search.study.store.base import Store, why_it_failed
from seqsweep.search.study.store.database import Database
from seqsweep.search.study.store.opening import open_storage


@pytest.fixture
def connect(place):
    """Opens the store as one more process would."""
    opened = []

    def connect() -> Store:
        opened.append(open_storage(place, grace_period=60))
        return opened[-1]

    yield connect
    for storage in opened:
        storage.close()


@pytest.fixture
def storage(connect):
    return connect()


@pytest.fixture
def optunas(storage, place):
    storage = RDBStorage(place if "://" in place else f"sqlite:///{place}")
    yield storage
    storage.engine.dispose()


@pytest.fixture
def study(storage):
    """A study with trials of every kind, and another one beside it."""
    storage = optuna.storages._CachedStorage(storage)
    other = optuna.create_study(study_name="other", storage=storage)
    study = optuna.create_study(storage=storage, directions=["minimize", "maximize"])
    distributions = {
        "z": FloatDistribution(1e-9, 1, log=True),
        "n": IntDistribution(0, 10, step=2),
        "c": CategoricalDistribution([None, True, 1, 1.5, "é'"]),
    }
    for number in range(40):
        params = {"z": 10.0 ** -(number % 9), "n": 2 * (number % 5), "c": [None, "é'"][number % 2]}
        trial = create_trial(
            params=params,
            distributions=distributions,
            values=[math.inf, -0.0] if number % 3 else [number, -math.inf],
            user_attrs={"key": "x" * number, "nested": {"a": [1, None]}},
            system_attrs={"constraints": [0.5]},
        )
        study.add_trial(trial)
        other.add_trial(create_trial(value=0.0))
    values = {1: 0.5, 2: math.inf, 10: math.nan, 3: -math.inf}
    study.add_trial(create_trial(state=TrialState.PRUNED, intermediate_values=values))
    study.add_trial(create_trial(state=TrialState.FAIL))
    study.enqueue_trial({"n": 4})
    return study


def told(trials) -> list[str]:
    """Gives the trials as text, as NaN is not equal to itself."""
    return [repr(trial) for trial in trials]


def test_all_trials_are_read_as_optuna_reads_them(storage, study, optunas):
    theirs = optunas.get_all_trials(study._study_id)
    assert len(theirs) == 43
    assert told(storage.get_all_trials(study._study_id)) == told(theirs)
    states = (TrialState.PRUNED, TrialState.WAITING)
    theirs = optunas.get_all_trials(study._study_id, states=states)
    assert told(storage.get_all_trials(study._study_id, states=states)) == told(theirs)
    assert len(theirs) == 2


@pytest.fixture
def far_away(monkeypatch):
    """Lets this machine's clock be that of another part of the world."""
    monkeypatch.setenv("TZ", "America/St_Johns")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed to be used with:UserWarning")
def test_times_are_those_of_this_machine_wherever_it_stands(storage, optunas, far_away):
    study = optuna.create_study(storage=storage)
    study.add_trial(create_trial(value=0.0))
    study.enqueue_trial({})
    before = datetime.datetime.now()
    study.tell(study.ask(), 1.0)
    after = datetime.datetime.now()
    theirs = optunas.get_all_trials(study._study_id)
    assert told(storage.get_all_trials(study._study_id)) == told(theirs)
    trial = study.get_trials()[-1]
    if storage.engine.name == "mysql":  # Optuna's tables hold whole seconds there
        before, after = (time.replace(microsecond=0) for time in (before, after))
    assert before <= trial.datetime_start <= trial.datetime_complete <= after


def test_each_trial_is_read_as_optuna_reads_it(storage, study, optunas):
    for trial in study.trials:
        theirs = optunas.get_trial(trial._trial_id)
        assert told([storage.get_trial(trial._trial_id)]) == told([theirs])


@pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed to be used with:UserWarning")
def test_a_trial_is_seen_through_optunas_cache_as_it_goes_on(storage, connect, optunas):
    ours = optuna.create_study(study_name="a", storage=storage)
    others = optuna.load_study(study_name="a", storage=connect())
    trial = ours.ask({"x": FloatDistribution(0, 1)})
    for step in range(3):
        trial.report(step / 2, step)
        assert told(others.trials) == told(optunas.get_all_trials(1))
        assert others.trials[0].intermediate_values == {n: n / 2 for n in range(step + 1)}
    ours.tell(trial, 0.25)
    late = ours.ask()
    assert told(others.trials) == told(optunas.get_all_trials(1))
    assert [t.state for t in others.trials] == [TrialState.COMPLETE, TrialState.RUNNING]
    assert others.trials[0].datetime_complete >= datetime.datetime(2020, 1, 1)
    ours.tell(late, state=TrialState.FAIL)
    assert told(others.trials) == told(optunas.get_all_trials(1))


def test_a_trial_that_is_not_there_is_a_key_error_as_with_optuna(storage, study, optunas):
    for store in (storage, optunas):
        with pytest.raises(KeyError):
            store.get_trial(10_000)


def test_reading_does_not_wait_for_who_writes(storage, study, connect):
    reader = connect()
    with storage.engine.begin(), ThreadPoolExecutor(1) as pool:  # holds SQLite's write lock
        read = pool.submit(reader.get_all_trials, study._study_id)
        assert len(read.result(timeout=20)) == 43  # SQLite would wait for 60 s


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


def test_a_trial_is_written_as_optuna_writes_it(storage, optunas):
    study_id = storage.create_new_study([StudyDirection.MINIMIZE])
    ours, theirs = (storage.create_new_trial(study_id) for _ in range(2))
    written_by(storage, ours, Database)
    written_by(storage, theirs, RDBStorage)
    found, expected = optunas.get_trial(ours), optunas.get_trial(theirs)
    assert (
        found.user_attrs == expected.user_attrs == {"é": ["second", None, 1e-9], "n": {"a": True}}
    )
    assert found.params == expected.params == {"z": 0.1 + 0.2, "c": "é'"}
    assert found.distributions == expected.distributions
    assert repr(found.intermediate_values) == repr(expected.intermediate_values)
    assert repr(found.intermediate_values) == f"{{0: 3.0, 1: nan, 2: inf, 3: -inf, 4: {0.1 + 0.2}}}"


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


def test_each_beat_is_heard_of(storage):
    study_id = storage.create_new_study([StudyDirection.MINIMIZE])
    trial_id = storage.create_new_trial(study_id)
    assert storage.silences(study_id) == {trial_id: None}
    storage.beat(trial_id)
    time.sleep(1.1)
    assert storage.silences(study_id)[trial_id] >= 1
    storage.beat(trial_id)
    assert storage.silences(study_id)[trial_id] < 1

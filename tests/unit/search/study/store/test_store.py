"""What each kind of store reads, against Optuna's own reading of the same."""

import datetime
import math
import time

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState, create_trial

from seqsweep.search.study.store.base import Store
from seqsweep.search.study.store.database import Database
from seqsweep.search.study.store.opening import open_storage
from seqsweep.stores import journal_file


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
def optunas(storage, place, tmp_path):
    if (journal := journal_file(place)) is not None:
        yield JournalStorage(JournalFileBackend(str(journal)))
        return
    is_file = "://" not in place or place.startswith("grpc")
    storage = RDBStorage(f"sqlite:///{tmp_path}/studies.db" if is_file else place)
    yield storage
    storage.engine.dispose()


@pytest.fixture
def study(storage):
    """A study with trials of every kind, and another one beside it."""
    storage = optuna.storages.get_storage(storage)
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
    """Gives the trials as text, as NaN is not equal to itself; a proxy puts maps in order."""

    def ordered(value):
        return dict(sorted(value.items())) if isinstance(value, dict) else value

    return [repr({name: ordered(value) for name, value in vars(t).items()}) for t in trials]


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
    if isinstance(storage, Database) and storage.engine.name == "mysql":
        # Optuna's tables hold whole seconds there
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
        assert told(others.trials) == told(optunas.get_all_trials(ours._study_id))
        assert others.trials[0].intermediate_values == {n: n / 2 for n in range(step + 1)}
    ours.tell(trial, 0.25)
    late = ours.ask()
    assert told(others.trials) == told(optunas.get_all_trials(ours._study_id))
    assert [t.state for t in others.trials] == [TrialState.COMPLETE, TrialState.RUNNING]
    assert others.trials[0].datetime_complete >= datetime.datetime(2020, 1, 1)
    ours.tell(late, state=TrialState.FAIL)
    assert told(others.trials) == told(optunas.get_all_trials(ours._study_id))


def test_a_trial_that_is_not_there_is_a_key_error_as_with_optuna(storage, study, optunas):
    for store in (storage, optunas):
        with pytest.raises(KeyError):
            store.get_trial(10_000)

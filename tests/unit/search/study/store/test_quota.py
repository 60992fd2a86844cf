"""No trial begins beyond those that a sweep is to have, however many processes ask at once."""

import threading

import optuna
import pytest
from optuna.storages import fail_stale_trials
from optuna.trial import TrialState

from seqsweep.search.study.past import run_again
from seqsweep.search.study.store import base
from seqsweep.search.study.store.base import AllTakenError, Store
from seqsweep.search.study.store.opening import open_storage

TOTAL = 5

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:Heartbeat of storage is supposed to be used with:UserWarning"
    ),
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
]


@pytest.fixture
def connect(place):
    """Loads the study as one more worker would, with a store of its own."""
    opened = []

    def open_it(total: int | None = None) -> Store:
        opened.append(open_storage(place, grace_period=60, total=total))
        return opened[-1]

    def load(total: int | None = TOTAL) -> optuna.Study:
        return optuna.load_study(study_name="swept", storage=open_it(total))

    optuna.create_study(study_name="swept", storage=open_it())
    yield load
    for storage in opened:
        storage.close()


def ask(study: optuna.Study) -> optuna.Trial | None:
    try:
        return study.ask()
    except AllTakenError:
        return None


def states(study: optuna.Study) -> list[str]:
    return [trial.state.name for trial in study.get_trials()]


@pytest.mark.parametrize("n_waiting", [0, 3, 9])
def test_eight_workers_that_ask_at_once_begin_exactly_the_total(connect, n_waiting):
    for _ in range(n_waiting):
        connect().enqueue_trial({})
    ready, got = threading.Barrier(8), []

    def work() -> None:
        study = connect()
        ready.wait()
        while (trial := ask(study)) is not None:
            got.append(trial.number)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(got) == list(range(TOTAL))
    assert states(connect()).count("RUNNING") == TOTAL
    assert states(connect()).count("WAITING") == max(0, n_waiting - TOTAL)


def test_a_trial_that_is_tried_again_gives_its_place_to_the_one_that_does(connect):
    study = connect()
    trials = [study.ask() for _ in range(TOTAL)]
    assert ask(study) is None
    run_again(study, study.get_trials()[2])
    study.tell(trials[2], state=TrialState.FAIL)
    assert ask(study).number == TOTAL
    assert ask(study) is None


def test_a_trial_that_has_failed_for_good_keeps_its_place(connect):
    study = connect()
    for _ in range(TOTAL):
        study.tell(study.ask(), state=TrialState.FAIL)
    assert ask(study) is None


@pytest.mark.parametrize("n_waiting", [0, TOTAL + 2])
def test_a_trial_that_waits_to_be_tried_again_keeps_its_place_from_all_others(connect, n_waiting):
    study = connect()
    for _ in range(n_waiting):
        study.enqueue_trial({})
    trials = [study.ask() for _ in range(TOTAL)]
    for trial in trials[:2]:
        run_again(study, study.get_trials()[trial.number])
        study.tell(trial, state=TrialState.FAIL)
    with pytest.raises(AllTakenError):  # by a worker that has just seen nothing waiting
        study._storage.create_new_trial(study._study_id)
    begun = [ask(study) for _ in range(2)]
    assert [trial.user_attrs["retry_of"] for trial in begun] == [0, 1]
    assert ask(study) is None


def test_where_fewer_are_to_end_than_before_those_that_are_tried_again_run_as_far_as_there_is_room(
    connect,
):
    before = connect()
    trials = [before.ask() for _ in range(TOTAL)]
    for trial in trials[:2]:
        run_again(before, before.get_trials()[trial.number])
        before.tell(trial, state=TrialState.FAIL)
    study = connect(TOTAL - 1)
    assert ask(study).user_attrs["retry_of"] == 0
    assert ask(study) is None


def test_without_a_total_there_is_no_limit(connect):
    study = connect(None)
    assert [study.ask().number for _ in range(TOTAL + 2)] == list(range(TOTAL + 2))


def test_the_place_of_a_waiting_trial_is_not_taken_by_another_study(connect):
    study = connect()
    other = optuna.create_study(study_name="other", storage=study._storage)
    for _ in range(TOTAL):
        study.ask()
    assert ask(other) is not None


def test_a_trial_whose_worker_died_before_its_first_beat_is_lost_too(connect, monkeypatch):
    connect().ask()
    seen_by = connect()
    clock = [1000.0]
    monkeypatch.setattr(base.time, "monotonic", lambda: clock[0])
    for seconds, state in ((0, "RUNNING"), (59, "RUNNING"), (61, "FAIL")):
        clock[0] = 1000.0 + seconds
        fail_stale_trials(seen_by)
        assert states(seen_by) == [state]

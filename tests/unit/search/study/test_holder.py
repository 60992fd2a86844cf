"""Who runs a study, and which of its trials nobody runs, in a real store."""

import contextlib
import threading
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path

import optuna
import pytest
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import fail_stale_trials
from optuna.trial import TrialState

from seqsweep.search.study.claim import OWN_FILE
from seqsweep.search.study.holder import HOLDER, Holder, let_go, take
from seqsweep.search.study.past import (
    FOLDER,
    SILENT,
    Past,
    mend,
    reason_of,
    run_again,
    runs_elsewhere,
)
from seqsweep.search.study.store.base import Store
from seqsweep.search.study.store.opening import open_storage
from seqsweep.tracking.none import NoTracking

GRACE_S = 60

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:Heartbeat of storage is supposed to be used with:UserWarning"
    ),
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
]


@pytest.fixture
def connect(place):
    """Opens the store as one more process would."""
    opened = []

    def connect(on_lost=None) -> Store:
        opened.append(open_storage(place, grace_period=GRACE_S, on_lost=on_lost))
        return opened[-1]

    yield connect
    for storage in opened:
        storage.close()


@pytest.fixture
def storage(connect) -> Store:
    return connect()


@pytest.fixture
def study(storage) -> optuna.Study:
    return optuna.create_study(study_name="swept-1", storage=storage)


@pytest.fixture
def begin(silence):
    """Begins a trial in the process of that store, last heard of so many seconds ago."""

    def begin(study: optuna.Study, storage: Store, heard_s_ago: float | None) -> optuna.Trial:
        trial = optuna.load_study(study_name=study.study_name, storage=storage).ask()
        if heard_s_ago is not None:
            storage.record_heartbeat(trial._trial_id)
            silence(storage, trial._trial_id, heard_s_ago)
        return trial

    return begin


def state(study: optuna.Study, trial: optuna.Trial) -> TrialState:
    return study.get_trials()[trial.number].state


class TestATrialThatIsNotHeardOf:
    def test_is_failed_by_one_of_two_other_processes_and_told_once(self, begin, study, connect):
        lost = []
        trial = begin(study, connect(), heard_s_ago=GRACE_S + 2)
        others = [connect(lambda _, trial: lost.append(trial.number)) for _ in range(2)]
        for other in others:
            fail_stale_trials(optuna.load_study(study_name=study.study_name, storage=other))
        assert state(study, trial) is TrialState.FAIL
        assert lost == [trial.number]

    def test_is_told_once_where_two_others_believe_that_they_have_failed_it(
        self, begin, study, connect, monkeypatch
    ):
        """As in a store that was away at the first try of each: neither knows who got through."""
        lost = []
        lost_one = begin(study, connect(), heard_s_ago=GRACE_S + 2)
        for _ in range(2):
            other = connect(lambda _, trial: lost.append(trial.number))
            fail = other.set_trial_state_values

            def believe(*arguments, fail=fail, **named):
                with contextlib.suppress(UpdateFinishedTrialError):
                    fail(*arguments, **named)
                return True

            monkeypatch.setattr(other, "set_trial_state_values", believe)
            monkeypatch.setattr(other, "_get_stale_trial_ids", lambda _: [lost_one._trial_id])
            fail_stale_trials(optuna.load_study(study_name=study.study_name, storage=other))
        assert lost == [0]

    def test_is_failed_where_its_worker_ended_before_its_first_word(self, begin, study, connect):
        lost, watcher = [], connect(lambda _, trial: lost.append(trial.number))
        trial = begin(study, connect(), heard_s_ago=None)
        watching = optuna.load_study(study_name=study.study_name, storage=watcher)
        fail_stale_trials(watching)
        assert state(study, trial) is TrialState.RUNNING
        for trial_id in watcher._mute:  # let the grace period go by
            watcher._mute[trial_id] -= GRACE_S + 1
        watcher._next_look = 0.0
        fail_stale_trials(watching)
        assert state(study, trial) is TrialState.FAIL
        assert lost == [trial.number]

    def test_goes_on_where_it_is_heard_of_late(self, begin, study, connect):
        watcher, worker = connect(), connect()
        trial = begin(study, worker, heard_s_ago=None)
        watching = optuna.load_study(study_name=study.study_name, storage=watcher)
        fail_stale_trials(watching)
        worker.record_heartbeat(trial._trial_id)
        for trial_id in watcher._mute:
            watcher._mute[trial_id] -= GRACE_S + 1
        watcher._next_look = 0.0
        fail_stale_trials(watching)
        assert state(study, trial) is TrialState.RUNNING

    def test_goes_on_within_the_grace_period(self, begin, study, storage, connect):
        trial = begin(study, connect(), heard_s_ago=GRACE_S - 5)
        fail_stale_trials(study)
        assert state(study, trial) is TrialState.RUNNING

    def test_goes_on_where_this_process_runs_it_however_long_it_slept(self, begin, study, storage):
        trial = begin(study, storage, heard_s_ago=10 * GRACE_S)
        fail_stale_trials(study)
        assert state(study, trial) is TrialState.RUNNING

    def test_is_run_again_once_also_when_the_sweep_goes_on_later(self, begin, study, connect):
        begin(study, connect(), heard_s_ago=GRACE_S + 2)
        fail_stale_trials(optuna.load_study(study_name="swept-1", storage=connect(run_again)))
        assert mend(study, NoTracking(), "") == 1
        (waiting,) = [t for t in study.get_trials() if t.state is TrialState.WAITING]
        assert waiting.user_attrs["retry_of"] == 0

    def test_is_run_again_where_the_process_that_failed_it_came_no_further(
        self, begin, study, connect
    ):
        begin(study, connect(), heard_s_ago=GRACE_S + 2)
        fail_stale_trials(study)
        assert reason_of(study.get_trials()[0]) == SILENT
        assert [mend(study, NoTracking(), "") for _ in range(2)] == [1, 1]
        assert [t.state for t in study.get_trials()] == [TrialState.FAIL, TrialState.WAITING]


def test_a_heartbeat_that_the_store_refuses_is_followed_by_the_next(study, storage, monkeypatch):
    """An exception would end the thread that beats."""
    trial = study.ask()
    with monkeypatch.context() as patch:
        patch.setattr(storage, "beat", _refuse)
        storage.record_heartbeat(trial._trial_id)
        assert storage.silences(study._study_id) == {trial._trial_id: None}
    storage.record_heartbeat(trial._trial_id)
    assert storage.silences(study._study_id)[trial._trial_id] is not None


def test_after_a_heartbeat_that_the_store_refused_no_trial_counts_as_lost_at_once(
    begin, study, storage, connect, monkeypatch
):
    """Nor could others be heard of while the store was away."""
    other = begin(study, connect(), heard_s_ago=GRACE_S + 2)
    own = begin(study, storage, heard_s_ago=None)
    storage._next_look = 0.0
    with monkeypatch.context() as patch:
        patch.setattr(storage, "beat", _refuse)
        storage.record_heartbeat(own._trial_id)
    assert storage._get_stale_trial_ids(study._study_id) == []
    storage._next_look = 0.0
    assert storage._get_stale_trial_ids(study._study_id) == [other._trial_id]


def _refuse(_trial_id):
    raise StorageInternalError("database is locked")


class TestAStudy:
    def test_is_taken_by_one_of_many_that_find_it_free_at_once(self, study, connect):
        ready, got = threading.Barrier(8), []

        def compete() -> None:
            own = connect()
            ready.wait()
            got.append(take(own, study._study_id, None))

        threads = [threading.Thread(target=compete) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (winner,) = [holder for holder in got if holder is not None]
        assert Holder.read(study.user_attrs) == winner

    def test_is_taken_after_a_dead_holder_once(self, study, storage):
        dead = take(storage, study._study_id, None)
        assert take(storage, study._study_id, dead) is not None
        assert take(storage, study._study_id, dead) is None

    def test_is_let_go_by_its_holder_only(self, study, storage):
        first = take(storage, study._study_id, None)
        second = take(storage, study._study_id, first)
        assert not let_go(storage, study._study_id, first)
        assert Holder.read(study.user_attrs) == second
        assert let_go(storage, study._study_id, second)
        assert Holder.read(study.user_attrs) is None
        assert take(storage, study._study_id, None) is not None


class TestWhereAStudyIsRun:
    @pytest.fixture
    def past(self, study, storage, tmp_path):
        """Gives the study as a start finds it, begun a while ago on a host of that name."""

        def find(*, host: str | None = None, began_s_ago: float = 1e6) -> Past:
            holder = Holder.here(storage)
            since = storage.now() - timedelta(seconds=began_s_ago)
            holder = replace(holder, host=host or holder.host, since=since.isoformat())
            study.set_user_attr(HOLDER, asdict(holder))
            study.set_user_attr(FOLDER, str(tmp_path))
            return Past(study.study_name, study._study_id, study.user_attrs)

        return find

    def test_is_said_by_the_lock_alone_on_the_host_that_ran_it(
        self, begin, past, study, storage, tmp_path
    ):
        Path(tmp_path, OWN_FILE).touch()
        begin(study, storage, heard_s_ago=1)
        assert runs_elsewhere(past(), storage) == ""

    def test_is_said_by_its_trials_where_the_folder_with_the_lock_is_not_here(
        self, begin, past, study, storage
    ):
        """As in a container that has its host's name."""
        begin(study, storage, heard_s_ago=1)
        assert "should it have died, wait" in runs_elsewhere(past(), storage)

    def test_is_another_host_that_was_heard_of(self, begin, past, study, storage):
        begin(study, storage, heard_s_ago=GRACE_S + 5)
        begin(study, storage, heard_s_ago=20)
        said = runs_elsewhere(past(host="other"), storage)
        assert said.startswith("on the host other, which was heard of 2")
        seconds = int(said.rpartition("wait ")[2].removesuffix(" s"))
        assert 0 < seconds <= GRACE_S - 20 + 1

    def test_is_another_host_that_has_just_begun(self, begin, past, study, storage):
        begin(study, storage, heard_s_ago=None)
        assert "on the host other" in runs_elsewhere(past(host="other", began_s_ago=1), storage)

    def test_is_nowhere_when_its_trials_are_silent(self, begin, past, study, storage):
        begin(study, storage, heard_s_ago=GRACE_S + 5)
        begin(study, storage, heard_s_ago=None)
        assert runs_elsewhere(past(host="other"), storage) == ""

    def test_is_nowhere_once_its_sweep_let_it_go(self, begin, study, storage):
        begin(study, storage, heard_s_ago=1)
        let_go(storage, study._study_id, take(storage, study._study_id, None))
        assert runs_elsewhere(Past("swept-1", study._study_id, study.user_attrs), storage) == ""

"""Studies behind a real server that is restarted, crashes, is away or loses its answers."""

import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import optuna
import pytest
import sqlalchemy
from optuna.distributions import FloatDistribution
from optuna.storages import fail_stale_trials
from optuna.trial import TrialState
from sqlalchemy.exc import OperationalError

from seqsweep.errors import SearchError
from seqsweep.search.study.store import connecting, patience
from seqsweep.search.study.store.opening import open_storage

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.filterwarnings(
        "ignore:Heartbeat of storage is supposed to be used with:UserWarning"
    ),
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
]
SERVERS = ("postgres", "mariadb")
ONLY_POSTGRES = pytest.mark.parametrize("server", ["postgres"], indirect=True)
SPACE = {"x": FloatDistribution(0, 1)}


@pytest.fixture(params=SERVERS)
def server(request):
    """A real server, of each kind."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def url(server) -> str:
    return server.create(f"of_{uuid.uuid4().hex}")


@pytest.fixture
def connect(url):
    """Opens the store as one more process would."""
    opened = []

    def connect(on_lost=None):
        opened.append(open_storage(url, grace_period=60, on_lost=on_lost))
        return opened[-1]

    yield connect
    for storage in opened:
        storage.close()


@pytest.fixture
def study(connect):
    return optuna.create_study(study_name="swept-1", storage=connect())


def backend(study):
    return study._storage._backend


@pytest.fixture
def lose_an_answer(monkeypatch):
    """Lets the server do the next commit of a study's store, and its answer be lost."""

    def lose(study) -> None:
        dialect = backend(study).engine.dialect
        commit = dialect.do_commit

        def cut(connection) -> None:
            commit(connection)
            monkeypatch.setattr(dialect, "do_commit", commit)
            raise dialect.dbapi.OperationalError("server closed the connection unexpectedly")

        monkeypatch.setattr(dialect, "do_commit", cut)

    return lose


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_server_that_is_restarted_between_any_two_steps_of_a_trial_loses_nothing(
    study, server, mode
):
    def run(step):
        server.restart(mode)
        return step()

    trial = run(lambda: study.ask(SPACE))
    run(lambda: trial.report(0.25, 1))
    run(lambda: trial.set_user_attr("key", "value"))
    run(lambda: backend(study).record_heartbeat(trial._trial_id))
    run(lambda: study.tell(trial, 0.5))
    assert run(lambda: backend(study).swap(study._study_id, "key", None, 1))
    run(lambda: study.enqueue_trial({"x": 0.75}))
    done, waiting = run(study.get_trials)
    assert (done.number, done.state, done.value) == (0, TrialState.COMPLETE, 0.5)
    assert done.params.keys() == {"x"}
    assert done.intermediate_values == {1: 0.25}
    assert done.user_attrs == {"key": "value"}
    assert waiting.state is TrialState.WAITING


def test_trials_of_many_threads_wait_for_a_server_that_is_away(study, server):
    """The server is away for longer than Optuna itself would ask again, and half its tries fail."""

    def work(_number: int) -> None:
        trial = study.ask(SPACE)
        for step in range(5):
            trial.report(trial.params["x"], step)
        study.tell(trial, trial.params["x"])

    with ThreadPoolExecutor(4) as threads:
        worked = [threads.submit(work, number) for number in range(40)]
        for mode in ("fast", "immediate"):
            time.sleep(0.3)
            server.stop(mode)
            time.sleep(1)
            server.start()
        for each in worked:
            each.result(timeout=60)
    trials = study.get_trials()
    completed = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    assert len(completed) == 40
    assert [trial.number for trial in trials] == list(range(len(trials)))
    assert all(len(trial.intermediate_values) == 5 for trial in completed)


def test_a_connection_that_is_cut_as_it_is_given_back_loses_nothing(study, monkeypatch):
    dialect = backend(study).engine.dialect
    reset = dialect.reset_isolation_level

    def cut(connection) -> None:
        monkeypatch.setattr(dialect, "reset_isolation_level", reset)
        connection.close()
        raise dialect.dbapi.OperationalError("the connection was reset")

    study.ask()
    monkeypatch.setattr(dialect, "reset_isolation_level", cut)
    assert len(study.get_trials()) == 1
    assert dialect.reset_isolation_level is reset


def test_a_connection_that_was_closed_while_nobody_used_it_is_opened_again(
    study, server, monkeypatch
):
    """A beat is asked for once."""
    monkeypatch.setattr(connecting, "IDLE_S", 0.0)
    trial = study.ask(SPACE)
    server.restart("fast")
    backend(study).beat(trial._trial_id)
    silence_s = backend(study).silences(study._study_id)[trial._trial_id]
    assert silence_s is not None


def test_a_server_that_stays_away_is_an_error_after_a_while(study, server, monkeypatch):
    monkeypatch.setattr(patience, "PATIENCE_S", 0.5)
    server.stop()
    try:
        began = time.monotonic()
        with pytest.raises(OperationalError) as raised:
            backend(study).get_trial(1)
        assert time.monotonic() - began < 10
    finally:
        server.start()
    assert server.password not in str(raised.value)
    assert study.get_trials() == []


def test_a_program_that_is_to_end_waits_for_a_server_no_longer_than_some_seconds(
    study, server, monkeypatch
):
    monkeypatch.setattr(patience, "HURRY_S", 0.5)
    server.stop()
    try:
        told = threading.Timer(1, backend(study).hurry)
        told.start()
        began = time.monotonic()
        with pytest.raises(OperationalError):
            backend(study).get_trial(1)
        assert 1 <= time.monotonic() - began < 10
        told.join()
    finally:
        server.start()


def test_a_server_that_stays_away_is_waited_for_once_whatever_is_asked_then(
    study, server, monkeypatch, caplog
):
    monkeypatch.setattr(patience, "PATIENCE_S", 3.0)
    storage = backend(study)
    server.stop()
    try:
        for least, most in ((3, 10), (0, 2), (0, 2)):
            began = time.monotonic()
            with pytest.raises(OperationalError):
                storage.get_trial(1)
            assert least < time.monotonic() - began < most
    finally:
        server.start()
    assert caplog.text.count("hydra.sweeper.storage is away") == 1
    assert study.get_trials() == []
    server.restart()
    assert study.get_trials() == []  # the next time it is away counts anew


class TestAnAnswerThatIsLost:
    def test_to_a_result_leaves_it_there_once(self, study, lose_an_answer):
        trial = study.ask(SPACE)
        lose_an_answer(study)
        study.tell(trial, 0.5)
        assert [t.value for t in study.get_trials()] == [0.5]

    def test_to_a_result_that_others_have_failed_meanwhile_is_no_success(self, study, connect):
        trial = study.ask(SPACE)
        connect().set_trial_state_values(trial._trial_id, TrialState.FAIL)
        with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
            backend(study).set_trial_state_values(trial._trial_id, TrialState.COMPLETE, [0.5])

    def test_to_a_report_leaves_it_there_once(self, study, lose_an_answer):
        trial = study.ask(SPACE)
        lose_an_answer(study)
        trial.report(0.5, 1)
        lose_an_answer(study)
        trial.set_user_attr("key", 1)
        lose_an_answer(study)
        trial.suggest_float("y", 0, 1)
        (stored,) = study.get_trials()
        assert (stored.intermediate_values, stored.user_attrs) == ({1: 0.5}, {"key": 1})
        assert stored.params.keys() == {"x", "y"}

    def test_to_a_swap_leaves_its_winner(self, study, lose_an_answer):
        for old, new in ((None, "first"), ("first", "second")):
            lose_an_answer(study)
            assert backend(study).swap(study._study_id, "key", old, new)
        assert not backend(study).swap(study._study_id, "key", "first", "third")
        assert study.user_attrs == {"key": "second"}

    def test_to_who_makes_a_trial_wait_leaves_one_that_waits(self, study, lose_an_answer):
        for point in (0.5, 0.5):  # the same point twice is two trials
            lose_an_answer(study)
            study.enqueue_trial({"x": point})
        assert [t.state for t in study.get_trials()] == [TrialState.WAITING] * 2

    @pytest.mark.parametrize("waits", [False, True])
    def test_to_who_asks_for_a_trial_costs_one_that_is_found_and_failed(
        self, study, connect, lose_an_answer, waits
    ):
        if waits:
            study.enqueue_trial({"x": 0.5})
        lose_an_answer(study)
        trial = study.ask(SPACE)
        assert trial.number == 1
        backend(study).record_heartbeat(trial._trial_id)
        lost, watcher = [], connect(lambda _, trial: lost.append(trial.number))
        watching = optuna.load_study(study_name=study.study_name, storage=watcher)
        fail_stale_trials(watching)
        watcher._mute = dict.fromkeys(watcher._mute, -1000000.0)
        watcher._next_look = 0.0
        fail_stale_trials(watching)
        assert lost == [0]
        assert [t.state for t in study.get_trials()] == [TrialState.FAIL, TrialState.RUNNING]


def test_a_store_that_was_away_takes_no_trial_for_lost_before_its_worker_could_speak(
    study, server, connect
):
    backend(study).record_heartbeat(study.ask()._trial_id)
    watcher = connect()
    with watcher.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE trial_heartbeats SET heartbeat = heartbeat - interval '1' hour"
        )
    server.stop()
    asked = threading.Thread(target=watcher.get_all_studies)
    asked.start()
    time.sleep(2)
    server.start()
    asked.join()
    assert watcher._get_stale_trial_ids(study._study_id) == []
    watcher._next_look = 0.0
    assert len(watcher._get_stale_trial_ids(study._study_id)) == 1


@ONLY_POSTGRES
def test_hosts_in_different_time_zones_agree_on_who_is_alive(study, connect, monkeypatch):
    trial = study.ask()
    backend(study).record_heartbeat(trial._trial_id)
    monkeypatch.setenv("PGTZ", "Asia/Tokyo")  # what PostgreSQL's client tells the server
    other = connect()
    assert other._get_stale_trial_ids(study._study_id) == []
    since = backend(study).now()
    assert 0 <= other.silence_s(study._study_id, since) < 30


def test_programs_that_begin_at_once_make_the_tables_once(url):
    ready = threading.Barrier(4)

    def begin(_number: int) -> list:
        ready.wait()
        storage = open_storage(url, grace_period=60)
        try:
            return storage.get_all_studies()
        finally:
            storage.close()

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(begin, range(4))) == [[]] * 4


def test_a_database_of_another_program_is_refused_and_left_as_it_is(url):
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:  # as MLflow's begins
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num varchar(32))")
    with pytest.raises(SearchError, match="holds the tables of another program, as MLflow"):
        open_storage(url, grace_period=60)
    assert sqlalchemy.inspect(engine).get_table_names() == ["alembic_version"]
    engine.dispose()


@ONLY_POSTGRES
def test_a_process_has_few_connections_whatever_its_threads(study, server, url):
    with ThreadPoolExecutor(32) as threads:
        list(threads.map(lambda _: study.ask(SPACE), range(64)))
    database = url.rpartition("/")[2]
    (count,) = server.ask(f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'")
    assert 1 <= count[0] <= 4


class TestWhatCannotBeOpened:
    def says(self, place: str) -> str:
        with pytest.raises(SearchError) as raised:
            open_storage(place, grace_period=60)
        return str(raised.value)

    def test_names_the_extra_of_a_driver_that_is_missing(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "psycopg", None)
        said = self.says("postgresql://sweep:very-secret@127.0.0.1/studies")
        assert "pip install 'psycopg[binary]', or the extra postgresql" in said
        assert said.startswith("hydra.sweeper.storage=postgresql+psycopg://…")
        assert "very-secret" not in said

    @pytest.mark.parametrize(
        ("place", "says"),
        [
            ("mysql://sweep@127.0.0.1/studies", "write mysql+pymysql://"),
            ("redis:///studies", "which is no database that we know"),
            ("postgres://sweep@127.0.0.1/studies", "accepted are the path of an SQLite file"),
            ("postgresql://sweep:very-secret@127.0.0.1:1/studies", "Connection refused"),
            ("mysql+pymysql://sweep:very-secret@127.0.0.1:1/studies", "Connection refused"),
        ],
    )
    def test_says_why(self, place, says):
        said = self.says(place)
        assert says in said
        assert "very-secret" not in said

    def test_says_so_of_a_wrong_password_and_of_a_database_that_is_not_there(self, url, server):
        said = self.says(url.replace(server.password, "very-secret"))
        denied = (
            'password authentication failed for user "sweep"',
            "Access denied for user 'sweep'",
        )
        assert any(each in said for each in denied)
        assert "very-secret" not in said
        said = self.says(f"{url}_not")
        assert "does not exist" in said or "Unknown database" in said
        assert server.password not in said

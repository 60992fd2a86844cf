"""Studies behind a proxy that is restarted, killed, away or loses its answers."""

import functools
import socket
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from unittest.mock import Mock

import optuna
import pytest
import sqlalchemy
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.exceptions import StorageInternalError
from optuna.storages import GrpcStorageProxy, InMemoryStorage
from optuna.storages._grpc.server import make_server
from optuna.trial import TrialState, create_trial

from seqsweep.errors import SearchError
from seqsweep.search.study.past import run_again
from seqsweep.search.study.store import patience, wire
from seqsweep.search.study.store.base import why_it_failed
from seqsweep.search.study.store.database import Database
from seqsweep.search.study.store.opening import open_storage, with_grpc
from seqsweep.search.study.store.proxy import Proxy, ProxyAwayError
from seqsweep.search.study.store.shared import SharedCache

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:Heartbeat of storage is supposed to be used with:UserWarning"
    ),
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
]
SPACE = {"x": FloatDistribution(0, 1)}


class Server:
    """A proxy that a test ends and starts again at the same address."""

    def __init__(self, place: str) -> None:
        self._place = place
        self.port = 0
        self._running = ExitStack()

    def start(self) -> None:
        served = with_grpc("serving").served(self._place, "127.0.0.1", self.port)
        self.address = self._running.enter_context(served)
        self.port = int(self.address.rpartition(":")[2])

    def stop(self) -> None:
        self._running.close()


@pytest.fixture(autouse=True)
def _hurry(monkeypatch):
    monkeypatch.setattr(patience, "PAUSE_S", 0.1)


@pytest.fixture
def file(tmp_path) -> str:
    return str(tmp_path / "studies.db")


@pytest.fixture
def server(file) -> Iterator[Server]:
    server = Server(file)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def connect(server):
    """Opens the store as one more process would."""
    opened = []

    def connect(total: int | None = None) -> Proxy:
        opened.append(open_storage(server.address, grace_period=60, total=total))
        return opened[-1]

    yield connect
    for storage in opened:
        storage.close()


@pytest.fixture
def study(connect):
    return optuna.create_study(study_name="swept-1", storage=connect())


@pytest.fixture
def beside(study, file):
    """Opens the file as a process beside the proxy does."""
    storage = open_storage(file, grace_period=60)
    yield optuna.load_study(study_name="swept-1", storage=storage)
    storage.close()


def test_a_proxy_that_is_restarted_between_any_two_steps_of_a_trial_loses_nothing(study, server):
    def run(step):
        server.stop()
        server.start()
        return step()

    storage = study._storage
    trial = run(lambda: study.ask(SPACE))
    run(lambda: trial.report(0.25, 1))
    run(lambda: trial.set_user_attr("key", "value"))
    run(lambda: trial.suggest_int("n", 0, 9))
    run(lambda: study.tell(trial, 0.5))
    assert run(lambda: storage.swap(study._study_id, "key", None, 1))
    run(lambda: study.enqueue_trial({"x": 0.75}))
    done, waiting = run(study.get_trials)
    assert (done.number, done.state, done.value) == (0, TrialState.COMPLETE, 0.5)
    assert done.params.keys() == {"x", "n"}
    assert done.intermediate_values == {1: 0.25}
    assert done.user_attrs == {"key": "value"}
    assert waiting.state is TrialState.WAITING


def test_trials_of_many_threads_wait_for_a_proxy_that_is_away(study, server):
    def work(_number: int) -> None:
        trial = study.ask(SPACE)
        for step in range(3):
            trial.report(trial.params["x"], step)
        study.tell(trial, trial.params["x"])

    with ThreadPoolExecutor(4) as threads:
        worked = [threads.submit(work, number) for number in range(24)]
        worked[3].result(timeout=30)
        server.stop()
        server.start()
        for each in worked:
            each.result(timeout=60)
    trials = study.get_trials()
    completed = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    assert len(completed) == 24
    assert all(len(trial.intermediate_values) == 3 for trial in completed)


def test_a_proxy_that_stays_away_is_an_error_that_says_so_after_a_while(
    study, server, monkeypatch, caplog
):
    server.stop()
    with monkeypatch.context() as patch:
        patch.setattr(patience, "PATIENCE_S", 1.0)
        with pytest.raises(StorageInternalError) as raised:
            study.get_trials()
    assert "\n" not in str(raised.value)
    assert "Connection refused" in why_it_failed(raised.value)
    assert caplog.text.count("hydra.sweeper.storage is away") == 1
    server.start()
    assert study.get_trials() == []


def test_a_program_that_is_to_end_waits_for_a_proxy_no_longer_than_some_seconds(
    study, server, monkeypatch
):
    monkeypatch.setattr(patience, "HURRY_S", 0.3)
    server.stop()
    study._storage.hurry()
    with pytest.raises(ProxyAwayError):
        study.get_trials()


class TestAnAnswerThatIsLost:
    @pytest.fixture
    def lose_an_answer(self, study, monkeypatch):
        """Lets the proxy do the next call of that name, and its answer be lost."""

        def lose(call: str) -> None:
            storage = study._storage
            is_ours = call in wire.CALLS
            ask = storage._calls[call] if is_ours else getattr(storage._stub, call)

            @functools.wraps(ask)
            def cut(request: Any, **named: Any) -> None:
                put(ask)
                ask(request, **named)
                raise ProxyAwayError("Socket closed")

            def put(what) -> None:
                if is_ours:
                    storage._calls[call] = what
                else:
                    setattr(storage._stub, call, what)

            put(cut)

        return lose

    def test_to_a_result_leaves_it_there_once(self, study, lose_an_answer):
        trial = study.ask(SPACE)
        lose_an_answer("SetTrialStateValues")
        study.tell(trial, 0.5)
        assert [t.value for t in study.get_trials()] == [0.5]

    def test_to_a_report_and_a_parameter_leaves_them_there_once(self, study, lose_an_answer):
        trial = study.ask(SPACE)
        lose_an_answer("SetTrialIntermediateValue")
        trial.report(0.5, 1)
        lose_an_answer("SetTrialParameter")
        trial.suggest_float("y", 0, 1)
        (stored,) = study.get_trials()
        assert (stored.intermediate_values, {*stored.params}) == ({1: 0.5}, {"x", "y"})

    def test_to_a_swap_leaves_its_winner(self, study, lose_an_answer):
        swap = functools.partial(study._storage.swap, study._study_id, "key")
        for old, new in ((None, "first"), ("first", "second")):
            lose_an_answer("swap")
            assert swap(old, new)
        assert not swap("first", "third")
        assert study.user_attrs == {"key": "second"}

    def test_to_who_asks_for_a_trial_costs_one_that_is_never_heard_of(self, study, lose_an_answer):
        lose_an_answer("CreateNewTrial")
        trial = study.ask(SPACE)
        assert trial.number == 1
        study._storage.record_heartbeat(trial._trial_id)
        silent, heard = study._storage.silences(study._study_id).values()
        assert silent is None
        assert 0 <= heard < 60

    def test_to_who_makes_a_trial_wait_leaves_one_that_waits(self, study, lose_an_answer):
        for point in (0.5, 0.5):  # the same point twice is two trials
            lose_an_answer("CreateNewTrial")
            study.enqueue_trial({"x": point})
        lose_an_answer("CreateNewTrial")
        run_again(study, study.get_trials()[0])
        waiting = study.get_trials()
        assert [trial.state for trial in waiting] == [TrialState.WAITING] * 3
        assert [trial.user_attrs.get("retry_of") for trial in waiting] == [None, None, 0]

    def test_of_the_database_to_the_proxy_leaves_one_that_waits(self, study, monkeypatch):
        """Optuna asks again by itself there."""
        monkeypatch.setattr("optuna.storages._rdb.storage.time.sleep", lambda _s: None)
        made = Database._get_prepared_new_trial
        lost = []

        def lose(self, study_id, template, session):
            trial = made(self, study_id, template, session)
            if not lost:
                lost.append(trial.trial_id)
                session.commit()
                behind = OSError("the server is gone")
                raise sqlalchemy.exc.OperationalError("COMMIT", {}, behind) from behind
            return trial

        monkeypatch.setattr(Database, "_get_prepared_new_trial", lose)
        study.enqueue_trial({"x": 0.5})
        assert [trial._trial_id for trial in study.get_trials()] == lost

    def test_to_who_asks_for_one_of_a_total_takes_a_place_until_it_is_failed(
        self, study, lose_an_answer
    ):
        study._storage.total = 2
        lose_an_answer("begin")
        assert study._storage.create_new_trial(study._study_id) == 2


def test_a_beat_that_is_heard_lets_the_store_be_looked_at(study, connect):
    trial_id = study.ask()._trial_id
    study._storage.record_heartbeat(trial_id)
    assert study._storage._next_look == 0.0  # no wait for others, as after one that is refused
    (silence,) = connect().silences(study._study_id).values()
    assert 0 <= silence < 60


def test_what_others_write_beside_the_proxy_is_read_through_it(study, beside):
    assert study.get_trials() == []
    trial = beside.ask(SPACE)
    for step in range(3):
        trial.report(step / 2, step)
        (read,) = study.get_trials()
        assert read.intermediate_values == {n: n / 2 for n in range(step + 1)}
    late = study.ask(SPACE)
    beside.tell(trial, 0.25)
    assert [t.state for t in study.get_trials()] == [TrialState.COMPLETE, TrialState.RUNNING]
    study.tell(late, 0.5)
    assert [t.value for t in study.get_trials()] == [0.25, 0.5]
    assert [t.value for t in beside.get_trials()] == [0.25, 0.5]


def test_a_proxy_for_the_web_is_not_asked(monkeypatch, study, connect):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    assert [each.study_name for each in connect().get_all_studies()] == ["swept-1"]


def test_optunas_own_client_reads_the_same_trials(study, server, file):
    for number in range(12):
        trial = create_trial(
            params={"z": number / 20, "a": number},
            distributions={"z": SPACE["x"], "a": IntDistribution(0, 20)},
            value=number,
            intermediate_values={10: 0.5, 2: float("nan"), 1: float("inf")},
            user_attrs={"key": {"nested": [1, None]}},
        )
        study.add_trial(trial)
    study.enqueue_trial({"x": 0.5})
    theirs = optuna.load_study(study_name="swept-1", storage=GrpcStorageProxy(port=server.port))
    direct = optuna.load_study(study_name="swept-1", storage=f"sqlite:///{file}")

    def told(study: optuna.Study) -> list[str]:
        trials = study.get_trials()
        for trial in trials:
            trial.intermediate_values = dict(sorted(trial.intermediate_values.items()))
            trial.params = dict(sorted(trial.params.items()))
            trial.distributions = dict(sorted(trial.distributions.items()))
            trial._system_attrs = dict(sorted(trial._system_attrs.items()))
        return [repr(trial) for trial in trials]

    assert told(study) == told(theirs) == told(direct)
    assert len(told(study)) == 13
    assert [*study.get_trials()[0].intermediate_values] == [1, 2, 10]
    assert [*study.get_trials()[0].params] == ["a", "z"]
    theirs._storage.close()
    direct._storage._backend.engine.dispose()


def test_a_finished_trial_cannot_be_changed_and_one_that_is_not_there_not_be_read(study):
    trial = study.ask(SPACE)
    study.tell(trial, 0.5)
    storage = study._storage
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
    with pytest.raises(optuna.exceptions.DuplicatedStudyError):
        storage.create_new_study([optuna.study.StudyDirection.MINIMIZE], "swept-1")
    for ask in (lambda: storage.get_trial(99), lambda: storage.get_study_id_from_name("other")):
        with pytest.raises(KeyError):
            ask()
    storage.total = 9
    with pytest.raises(KeyError):
        storage.create_new_trial(99)


def test_what_the_database_fails_by_is_told_without_the_proxys_traceback(study, monkeypatch):
    def fail(*_arguments) -> None:
        behind = ValueError("a number that is too large")
        raise sqlalchemy.exc.DataError("UPDATE", {}, behind) from behind

    monkeypatch.setattr(Database, "set_study_user_attr", fail)
    with pytest.raises(StorageInternalError) as raised:
        study.set_user_attr("key", 1)
    assert str(raised.value) == why_it_failed(raised.value) == "a number that is too large"


def test_a_database_that_is_away_is_asked_again_by_who_has_asked(study, monkeypatch, caplog):
    write, tries = Database.set_study_user_attr, []

    def fail_twice(*arguments) -> None:
        tries.append(arguments)
        if len(tries) < 3:
            behind = OSError("the server is gone")
            raise sqlalchemy.exc.OperationalError("UPDATE", {}, behind) from behind
        write(*arguments)

    monkeypatch.setattr(Database, "set_study_user_attr", fail_twice)
    study.set_user_attr("key", 1)
    assert study.user_attrs == {"key": 1}
    assert "hydra.sweeper.storage is away: the server is gone" in caplog.text
    assert study._storage._get_stale_trial_ids(study._study_id) == []  # others were not heard


class CountingLock:
    """A lock that knows how many have asked for it."""

    def __init__(self) -> None:
        self._lock, self._asked = threading.Lock(), threading.Semaphore(0)

    def __enter__(self) -> None:
        self._asked.release()
        self._lock.acquire()

    def __exit__(self, *_error: object) -> None:
        self._lock.release()

    def wait_for(self, count: int) -> None:
        """Waits until so many have asked; the next to wait need not."""
        for _ in range(count):
            assert self._asked.acquire(timeout=20)
        self.wait_for = lambda _count: None


class TestTheCacheOfTheProxy:
    @pytest.fixture
    def backend(self, file):
        storage = open_storage(file, grace_period=60)
        yield storage
        storage.close()

    @pytest.fixture
    def study_id(self, backend):
        study = optuna.create_study(storage=backend)
        for number in range(3):
            study.add_trial(create_trial(value=number))
        return study._study_id

    def test_reads_once_for_all_who_came_while_another_reading_was_under_way(
        self, backend, study_id, monkeypatch
    ):
        cache, read = SharedCache(backend), backend._get_trials
        cache._reading = reading = CountingLock()
        count = Counter()

        def slow(*arguments, **named):
            count["read"] += 1
            reading.wait_for(9)
            return read(*arguments, **named)

        monkeypatch.setattr(backend, "_get_trials", slow)
        with ThreadPoolExecutor(9) as threads:
            asked = [threads.submit(cache.changed, study_id, set(), -1) for _ in range(9)]
            assert all(len(each.result(20)) == 3 for each in asked)
        assert count["read"] == 2

    def test_takes_no_reading_that_failed_for_one(self, backend, study_id, monkeypatch):
        cache = SharedCache(backend)

        def fail(*_arguments, **_named):
            raise StorageInternalError("away")

        with monkeypatch.context() as patch:
            patch.setattr(backend, "_get_trials", fail)
            with pytest.raises(StorageInternalError):
                cache.changed(study_id, set(), -1)
        assert len(cache.changed(study_id, set(), -1)) == 3

    def test_knows_nothing_of_a_study_that_was_deleted(self, backend):
        cache = SharedCache(backend)
        ids = set()
        for kind in (FloatDistribution(0, 1), IntDistribution(0, 1)):
            study = optuna.create_study(study_name="a", storage=cache)
            trial = study.ask({"x": kind})
            assert study.get_trials()[0].distributions == {"x": kind}
            ids.add((study._study_id, trial._trial_id))
            cache.delete_study(study._study_id)
        assert len(ids) == 1  # SQLite gives numbers again

    @pytest.mark.parametrize("made_beside", [False, True])
    def test_forgets_a_study_that_was_deleted_beside_it(self, backend, made_beside):
        cache = SharedCache(backend)
        for ended in ([0.25, 0.75], [0.5]):
            makes = backend if made_beside else cache
            optuna.create_study(study_name="a", storage=makes)
            study = optuna.load_study(study_name="a", storage=cache)
            for value in ended:
                assert cache.changed(study._study_id, set(), -1) == study.get_trials()
                trial = study.ask(SPACE)
                assert cache.get_trial(trial._trial_id).state is TrialState.RUNNING
                study.tell(trial, value)
            assert [trial.value for trial in study.get_trials()] == ended
            assert [t.value for t in cache.changed(study._study_id, set(), -1)[::-1]] == ended
            backend.delete_study(study._study_id)

    def test_refuses_a_parameter_that_is_of_another_kind_in_its_study(self, backend):
        study = optuna.create_study(storage=SharedCache(backend))
        study.ask(SPACE)
        with pytest.raises(ValueError, match="distribution kind"):
            study.ask({"x": IntDistribution(0, 1)})

    def test_gives_those_that_were_asked_for_and_those_after_them(self, backend, study_id):
        cache = SharedCache(backend)
        ids = [trial._trial_id for trial in backend.get_all_trials(study_id)]
        for known, after, wanted in (
            (set(), -1, ids),
            (set(), ids[1], ids[2:]),
            ({ids[0]}, ids[1], [ids[0], ids[2]]),
            ({ids[2]}, ids[1], [ids[2]]),
            ({99}, ids[2], []),
        ):
            found = cache.changed(study_id, known, after)
            assert sorted(trial._trial_id for trial in found) == wanted


@pytest.fixture
def port_of_ipv6() -> int:
    """A free port of this machine's own IPv6 address."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as free:
            return free.getsockname()[1]
    except OSError:
        pytest.skip("this machine has no IPv6")


class TestWhatCannotBeOpened:
    def says(self, place: str) -> str:
        with pytest.raises(SearchError) as raised:
            open_storage(place, grace_period=60)
        assert "\n" not in str(raised.value)
        return str(raised.value)

    @pytest.mark.parametrize(
        "place",
        [
            "grpc://127.0.0.1",
            "grpc://:13000",
            "grpc://127.0.0.1:13000/studies",
            "grpc://sweep@127.0.0.1:13000",
            "grpc://127.0.0.1:port",
            "grpc://127.0.0.1:13000?x=1",
        ],
    )
    def test_is_an_address_with_less_or_more_than_host_and_port(self, place):
        assert f"{place} is no address of a proxy: grpc://HOST:PORT is accepted" in self.says(place)

    def test_is_a_port_where_nothing_listens(self, server):
        server.stop()
        said = self.says(server.address)
        assert f"hydra.sweeper.storage={server.address}: " in said
        assert "Connection refused; start a proxy there by seqsweep proxy --storage=URL" in said

    def test_is_a_proxy_of_optunas_own(self):
        server = make_server(InMemoryStorage(), "127.0.0.1", 0)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            said = self.says(f"grpc://127.0.0.1:{port}")
        finally:
            server.stop(None).wait()
        assert "what answers there is no proxy of seqsweep, as Optuna's own is none" in said

    def test_is_told_with_brackets_where_its_host_has_colons(self, port_of_ipv6):
        address = f"grpc://[::1]:{port_of_ipv6}"
        assert f"hydra.sweeper.storage={address}: " in self.says(address)

    def test_is_a_server_that_speaks_another_language(self, mlflow_like):
        assert "start a proxy there" in self.says(f"grpc://127.0.0.1:{mlflow_like}")

    @pytest.fixture
    def mlflow_like(self):
        """A port at which a server answers in HTTP 1."""
        with socket.create_server(("127.0.0.1", 0)) as listening:

            def answer() -> None:
                try:
                    while True:
                        connection, _ = listening.accept()
                        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                        connection.close()
                except OSError:
                    return

            thread = threading.Thread(target=answer)
            thread.start()
            yield listening.getsockname()[1]
            listening.shutdown(socket.SHUT_RDWR)
        thread.join()

    def test_names_the_extra_where_grpc_is_missing(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "grpc", None)
        monkeypatch.delitem(sys.modules, "seqsweep.search.study.store.proxy", raising=False)
        said = self.says("grpc://127.0.0.1:13000")
        assert "pip install grpcio protobuf, or the extra grpc of seqsweep" in said


def test_a_host_with_colons_is_listened_at(file, port_of_ipv6):
    with with_grpc("serving").served(file, "::1", port_of_ipv6) as address:
        assert address == f"grpc://[::1]:{port_of_ipv6}"
        storage = open_storage(address, grace_period=60)
        assert storage.get_all_studies() == []
        storage.close()


class TestWhatCannotBeServed:
    def serve(self, place: str, host: str, port: int) -> None:
        with with_grpc("serving").served(place, host, port):
            pass

    def test_is_an_address_in_use(self, server, file):
        with pytest.raises(SearchError, match=r"cannot be listened at: .*Address already in use; "):
            self.serve(file, "127.0.0.1", server.port)

    def test_is_an_address_that_another_program_takes_just_before_grpc_does(
        self, server, file, monkeypatch
    ):
        monkeypatch.setattr("seqsweep.search.study.store.serving.socket.create_server", Mock())
        says = f"cannot be listened at: Failed to bind to address 127.0.0.1:{server.port}; --host"
        with pytest.raises(SearchError, match=says):
            self.serve(file, "127.0.0.1", server.port)

    def test_is_another_proxy_or_a_journal(self, server, tmp_path):
        for place in (server.address, f"journal:///{tmp_path}/studies.journal"):
            with pytest.raises(SearchError, match="cannot stand behind a proxy: the path of an S"):
                self.serve(place, "127.0.0.1", 0)


@pytest.mark.cluster
class TestBeforePostgresql:
    @pytest.fixture
    def file(self, database) -> str:
        return database()

    def test_a_database_that_is_restarted_loses_nothing(self, study, postgres):
        for mode in ("fast", "immediate"):
            trial = study.ask(SPACE)
            postgres.restart(mode)
            trial.report(0.5, 1)
            postgres.restart(mode)
            study.tell(trial, 0.5)
            postgres.restart(mode)
            assert study.get_trials()[-1].value == 0.5
        assert [t.state.name for t in study.get_trials()] == ["COMPLETE", "COMPLETE"]

    def test_many_clients_take_the_connections_of_the_proxy_alone(
        self, study, connect, postgres, file
    ):
        studies = [
            optuna.load_study(study_name="swept-1", storage=connect(total=40)) for _ in range(40)
        ]
        with ThreadPoolExecutor(40) as threads:
            trials = list(threads.map(lambda study: study.ask(SPACE), studies))
        assert sorted(trial.number for trial in trials) == list(range(40))
        name = file.rpartition("/")[2]
        ((count,),) = postgres.ask(
            f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'"
        )
        assert 1 <= count <= 4

"""The outbox sends all in order, whatever the store does to its requests."""

import threading

import pytest
import requests
from mlflow.exceptions import MlflowException
from mlflow.protos import databricks_pb2 as codes

from seqsweep.errors import TrackingError
from seqsweep.outcome import Completed
from seqsweep.process.messages import Point
from seqsweep.tracking.base import RunRecord
from seqsweep.tracking.failures import StoreAway, may_pass
from seqsweep.tracking.journal import Journal
from seqsweep.tracking.outbox import Outbox

HEADER = {"uri": "u", "dir": "d", "experiment": "e"}


class Store:
    """Does what it is asked, but for what `does` makes of a request."""

    def __init__(self, does) -> None:
        self.ids, self.models = {}, {}
        self.done: list[tuple[str, str]] = []
        self._does = does

    def do(self, entries, *, is_doubtful=False) -> None:
        self._does(entries)
        for entry in entries:
            points = entry.arguments.get("points", [])
            self.done += [(entry.run, f"{p[0]} {p[2]}") for p in points] or [
                (entry.run, entry.what)
            ]


def outbox(folder, does) -> tuple[Outbox, Store]:
    store = Store(does)
    return Outbox(store, Journal(folder / "unsent.jsonl", HEADER)), store


def record(box: Outbox, key: str, steps: int) -> None:
    run = box.start(RunRecord("a run"), key)
    for step in range(steps):
        run.log([Point("loss", 1.0, step)])
    run.end(Completed((1.0,)))


def whole(key: str, steps: int) -> list[tuple[str, str]]:
    return [(key, "start"), *((key, f"loss {step}") for step in range(steps)), (key, "end")]


def test_a_store_that_is_away_every_other_time_gets_all_in_order(tmp_path):
    calls = iter(range(10**6))

    def does(_entries) -> None:
        if next(calls) % 2 == 0:
            raise StoreAway("away")

    box, store = outbox(tmp_path, does)
    for key in "ab":
        record(box, key, 3)
    assert box.flush(30) is None
    assert store.done == whole("a", 3) + whole("b", 3)
    assert box.refusal() is None


def test_of_points_that_are_sent_together_only_those_that_are_refused_are_lost(tmp_path):
    held = threading.Event()

    def does(entries) -> None:
        held.wait(30)
        if any(p[2] == 1 for entry in entries for p in entry.arguments.get("points", [])):
            raise TrackingError("not that one")

    box, store = outbox(tmp_path, does)
    record(box, "a", 4)
    held.set()
    assert box.flush(30) is None
    assert store.done == [each for each in whole("a", 4) if each != ("a", "loss 1")]
    assert box.refusal() == "the records of 1 run are not whole: not that one"
    with pytest.raises(TrackingError, match="not that one"):
        box.settle("a")
    box.settle("b")


def test_what_a_program_left_is_sent_by_the_next_before_all_else(tmp_path):
    def away(_entries) -> None:
        raise StoreAway("the MLflow store is away")

    box, _ = outbox(tmp_path, away)
    record(box, "a", 2)
    unsent = box.flush(0.3)
    assert unsent.startswith("4 records of 1 run could not be sent: the MLflow store is away")
    again, store = outbox(tmp_path, lambda _entries: None)
    record(again, "b", 1)
    assert again.flush(30) is None
    assert store.done == whole("a", 2) + whole("b", 1)
    assert not (tmp_path / "unsent.jsonl").exists()


def test_a_listener_that_fails_does_not_end_the_sending(tmp_path):
    failures = iter([StoreAway("away")])

    def does(_entries) -> None:
        for failure in failures:
            raise failure

    def listener(_sentence: str) -> None:
        raise BrokenPipeError

    box, store = outbox(tmp_path, does)
    box.tell(listener)
    record(box, "a", 1)
    assert box.flush(30) is None
    assert store.done == whole("a", 1)


def answered(status: int) -> requests.HTTPError:
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError("no", response=response)


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(),
        requests.ConnectionError(),
        requests.exceptions.JSONDecodeError("no JSON", "<html>", 0),
        answered(503),
        answered(401),
        answered(429),
        MlflowException("database is locked", codes.TEMPORARILY_UNAVAILABLE),
        MlflowException("connection already closed", codes.BAD_REQUEST),
        MlflowException("Internal error"),
        MlflowException("log in", codes.UNAUTHENTICATED),
        OSError(28, "No space left on device"),
        RuntimeError("what an artifact store's client may raise"),
    ],
)
def test_what_may_work_later_is_kept(error):
    assert may_pass(error)


@pytest.mark.parametrize(
    "error",
    [
        answered(413),
        FileNotFoundError(),
        TypeError(),
        MlflowException("the run is deleted", codes.INVALID_PARAMETER_VALUE),
        MlflowException("no such run", codes.RESOURCE_DOES_NOT_EXIST),
    ],
)
def test_what_will_never_work_does_not_block_the_rest(error):
    assert not may_pass(error)

"""A full disk is known by what any of the causes says."""

import errno
import sqlite3

import pytest

from seqsweep.errors import TrackingError
from seqsweep.outcome import Failed
from seqsweep.process.result import raised
from seqsweep.search.workers.room import is_full, named, says_full, with_more_room


def caused(error: BaseException) -> BaseException:
    """Wraps it as a library does, whose own text says nothing."""
    try:
        raise RuntimeError("the commit failed") from error
    except RuntimeError as wrapped:
        return wrapped


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "/data/x"),
        OSError(errno.EDQUOT, "Disk quota exceeded", "/data/x"),
        sqlite3.OperationalError("database or disk is full"),
        TrackingError("the MLflow store fails: database or disk is full"),
    ],
)
def test_a_full_disk_is_known_whatever_wraps_it(error):
    assert is_full(error)
    assert is_full(caused(error))
    assert says_full(named(raised(error)).reason)
    assert says_full(named(raised(caused(error))).reason)


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "Permission denied"), ValueError("full")])
def test_another_error_is_none(error):
    assert not is_full(caused(error))
    assert named(raised(error)) == raised(error)


def test_a_reason_that_says_so_stays_as_it_is():
    outcome = Failed("OSError: [Errno 28] No space left on device")
    assert named(outcome) == outcome


def test_a_place_with_room_is_not_named(tmp_path):
    said = with_more_room("no", [tmp_path / "not" / "there"], "the same command goes on")
    assert said == "no; with more room the same command goes on"

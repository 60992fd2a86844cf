"""How a store of studies is opened, by its address: the path of an SQLite file, or a URL."""

from __future__ import annotations

import re
from pathlib import Path

from seqsweep.errors import SearchError, UserError
from seqsweep.search.study.store.base import ACCEPTED, OnLost, Store, store_error
from seqsweep.search.study.store.connecting import open_remote
from seqsweep.search.study.store.sqlite import open_sqlite, read_sqlite
from seqsweep.stores import sqlite_file, sqlite_url

SECONDS = 60  # a grace period that reading does not use: each study's holder has its own


def open_storage(
    place: str, *, grace_period: int, on_lost: OnLost | None = None, total: int | None = None
) -> Store:
    """Opens the store of studies, which it may create.

    Args:
        place: a URL, or the path of an SQLite file.
        grace_period: seconds without a beat after which a trial's worker is taken for dead.
        on_lost: hears of such trials.
        total: how many trials may begin in a study, None for any number.

    Raises:
        SearchError: the store cannot be opened.
    """
    if re.match(r"[\w+.-]+:(?!//)", place):
        raise SearchError(
            f"hydra.sweeper.storage begins as a URL does, but goes on without //: {ACCEPTED}"
        )
    url = place if "://" in place else sqlite_url(Path(place).expanduser().absolute())
    open_it = open_sqlite if is_sqlite(url) else open_remote
    try:
        return open_it(url, grace_period=grace_period, on_lost=on_lost, total=total)
    except UserError:
        raise
    except Exception as error:  # drivers and SQLAlchemy raise what they like
        raise store_error("opened", error) from error


def open_to_read(place: str) -> Store:
    """Opens a store of studies without writing anything.

    Raises:
        NoStudiesError: it holds none.
        SearchError: there is no store.
    """
    file = sqlite_file(place)
    if file is None:
        return open_remote(place, grace_period=SECONDS, makes_tables=False)
    if not file.is_file():
        raise SearchError(
            f"there is no store of studies at {file}: the first sweep makes it, as python "
            "src/run.py -m sweep does; or name another, as --storage=FILE"
        )
    return read_sqlite(file, grace_period=SECONDS)


def is_sqlite(place: str) -> bool:
    """Says whether the store is a file of SQLite."""
    return "://" not in place or place.startswith("sqlite")

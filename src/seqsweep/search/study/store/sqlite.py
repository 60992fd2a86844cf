"""How an SQLite file that holds studies is opened: to be written by many, or only read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy.engine import make_url

from seqsweep.errors import SearchError
from seqsweep.search.study.store.base import NoStudiesError
from seqsweep.search.study.store.database import Database
from seqsweep.search.study.store.rows import READS
from seqsweep.stores import make_whole, reading_options, sqlite_url

TIMEOUT_S = 60  # of one that waits for another to have written


def open_sqlite(url: str, **arguments: Any) -> Database:
    """Opens an SQLite file, which it makes where there is none.

    It gets a write-ahead log, which lets readers and a writer work at once, and transactions that
    begin IMMEDIATE: as Optuna opens it, two processes can claim the same waiting trial.

    Args:
        url: an SQLAlchemy URL.
        arguments: what `Database` takes else.

    Raises:
        SearchError: the URL names no file.
    """
    file = make_url(url).database
    if not file or file == ":memory:":
        raise SearchError(
            f"hydra.sweeper.storage={url!r} is no file: what is in memory no other process "
            "can read; give the path of a file"
        )
    make_whole(Path(file), _build)
    storage = _sqlite(url, **arguments)
    sqlalchemy.event.listen(storage.engine, "connect", _set_pragmas)
    sqlalchemy.event.listen(storage.engine, "begin", _begin_immediate)
    storage.engine.dispose()  # the connections so far know nothing of this
    storage.get_all_studies()
    return storage


def read_sqlite(file: Path, **arguments: Any) -> Database:
    """Opens an SQLite file to read it.

    Raises:
        NoStudiesError: it has no tables of studies.
    """
    options = reading_options(file)
    storage = Database("sqlite://", engine_kwargs=options, makes_tables=False, **arguments)
    if not sqlalchemy.inspect(storage.engine).has_table("studies"):
        raise NoStudiesError(f"{file} holds no studies")
    return storage


def _build(path: Path) -> None:
    _sqlite(sqlite_url(path), grace_period=1).engine.dispose()


def _sqlite(url: str, **arguments: Any) -> Database:
    # As many connections as there are threads; two for each slot, as one beats.
    engine = {"pool_size": 0, "connect_args": {"timeout": TIMEOUT_S}}
    return Database(url, engine_kwargs=engine, **arguments)


def _set_pragmas(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # else sqlite3 begins transactions of its own
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _begin_immediate(connection: sqlalchemy.Connection) -> None:
    is_read = READS.items() <= connection.get_execution_options().items()
    connection.exec_driver_sql("BEGIN" if is_read else "BEGIN IMMEDIATE")

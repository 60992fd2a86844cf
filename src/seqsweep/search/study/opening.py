"""How a store of studies is opened: an SQLite file, or a database behind a server."""

from __future__ import annotations

import random
import re
import time
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from seqsweep.errors import SearchError, UserError, first_line
from seqsweep.search.study.server import ServerStorage
from seqsweep.search.study.storage import READS, OnLost, Storage
from seqsweep.stores import make_whole, sqlite_url

SQLITE_TIMEOUT_S = 60
CONNECT_S = 10  # to a server, after which it counts as away
N_CONNECTIONS = 4  # of one process at most; its threads take turns, each for milliseconds
TRIES = 5  # at making the tables
VERSION = "alembic_version"
ACCEPTED = (
    "accepted are the path of an SQLite file and a URL, as "
    "postgresql://USER@HOST/DATABASE or mysql+pymysql://USER@HOST/DATABASE, with :PASSWORD behind "
    "USER or in PGPASSWORD"
)
WITHOUT_BEATS = "a store of Optuna's without heartbeats, so that lost trials would run for ever"
DRIVERS = {
    "postgresql": "pip install 'psycopg[binary]', or the extra postgresql of seqsweep",
    "mysql": "pip install pymysql, or the extra mysql of seqsweep, and write mysql+pymysql://",
}
DRIVERS["mariadb"] = DRIVERS["mysql"].replace("mysql+pymysql", "mariadb+pymysql")
# Heartbeats are kept by the server's clock as the connection shows it.
IN_UTC = {"postgresql": "SET TIME ZONE 'UTC'", "mysql": "SET time_zone = '+00:00'"}
IN_UTC["mariadb"] = IN_UTC["mysql"]


class NoStudiesError(SearchError):
    """A database in which no sweep has begun yet."""


def open_storage(
    place: str, *, grace_period: int, on_lost: OnLost | None = None, total: int | None = None
) -> Storage:
    """Opens the store of studies, an SQLAlchemy URL or the path of an SQLite file; may create it.

    SQLite gets a write-ahead log, which lets readers and a writer work at once, and transactions
    that begin IMMEDIATE: as Optuna opens it, two processes can claim the same waiting trial.

    Raises:
        SearchError: the store cannot be opened.
    """
    if re.match(r"[\w+.-]+:(?!//)", place):
        raise SearchError(
            f"hydra.sweeper.storage begins as a URL does, but goes on without //: {ACCEPTED}"
        )
    url = place if "://" in place else sqlite_url(Path(place).expanduser().absolute())
    arguments = {"grace_period": grace_period, "on_lost": on_lost, "total": total}
    try:
        if make_url(url).get_backend_name() != "sqlite":
            return open_server(url, **arguments)
        file = make_url(url).database
        if not file or file == ":memory:":
            raise SearchError(
                f"hydra.sweeper.storage={place!r} is no file: what is in memory no other process "
                "can read; give the path of a file"
            )
        make_whole(Path(file), _build)
        storage = _sqlite(url, **arguments)
        sqlalchemy.event.listen(storage.engine, "connect", _set_pragmas)
        sqlalchemy.event.listen(storage.engine, "begin", _begin_immediate)
        storage.engine.dispose()  # the connections so far know nothing of this
        storage.get_all_studies()
    except UserError:
        raise
    except Exception as error:  # drivers and SQLAlchemy raise what they like
        raise store_error("opened", error) from error
    return storage


def open_server(url: str, *, makes_tables: bool = True, **arguments: Any) -> Storage:
    """Opens a database behind a server.

    Args:
        url: an SQLAlchemy URL.
        makes_tables: whether to make the tables where there are none.
        arguments: what `Storage` takes else.

    Raises:
        NoStudiesError: there are no tables, and none are to be made.
        SearchError: there is no such driver, or the database is another program's.
    """
    url = _with_psycopg(url)
    read = make_url(url)
    _check_driver(read)
    connects = {"connect_args": _connect_arguments(read)}
    if not _has_tables(read, connects):
        if not makes_tables:
            raise NoStudiesError(f"the database {read.database} holds no studies yet")
        _make_tables(url, connects)
    engine = {
        **connects,
        "pool_pre_ping": True,  # a connection that the server has closed is opened again
        "pool_size": N_CONNECTIONS,
        "max_overflow": 0,
    }
    storage = ServerStorage(url, engine_kwargs=engine, makes_tables=False, **arguments)
    if (statement := IN_UTC.get(read.get_backend_name())) is not None:
        sqlalchemy.event.listen(storage.engine, "connect", partial(_execute, statement))
        storage.engine.dispose()
    return storage


def _with_psycopg(url: str) -> str:
    """Lets `postgresql://` mean psycopg 3, as with SQLAlchemy 2.1; for Python 3.10 there is 2.0."""
    return re.sub("^postgresql://", "postgresql+psycopg://", url)


def is_sqlite(place: str) -> bool:
    """Says whether the store is a file of SQLite."""
    return "://" not in place or place.startswith("sqlite")


def store_error(what: str, error: Exception) -> SearchError:
    """Gives the error that the store cannot be opened, written …"""
    why = first_line(error.__cause__ or error)
    return SearchError(f"hydra.sweeper.storage cannot be {what}: {why}")


def _check_driver(url: URL) -> None:
    try:
        url.get_dialect().import_dbapi()
    except NoSuchModuleError as error:
        why = WITHOUT_BEATS if url.drivername in ("journal", "grpc") else "no database that we know"
        raise SearchError(
            f"hydra.sweeper.storage begins with {url.drivername}://, which is {why}: {ACCEPTED}"
        ) from error
    except ImportError as error:
        how = DRIVERS.get(url.get_backend_name(), "install it")
        raise SearchError(
            f"hydra.sweeper.storage={url.drivername}://… needs a driver that is not installed "
            f"({first_line(error)}): {how}"
        ) from error


def _connect_arguments(url: URL) -> dict[str, Any]:
    """Gives a time limit for the connection, where the URL has none of its own."""
    knows = url.get_driver_name() in ("psycopg", "psycopg2", "pymysql")
    return {"connect_timeout": CONNECT_S} if knows and "connect_timeout" not in url.query else {}


def _has_tables(url: URL, connects: dict[str, Any]) -> bool:
    """Says whether Optuna has made all its tables: it notes its version in the last one.

    Raises:
        SearchError: another program has, that notes its version in a table of the same name.
    """
    engine = sqlalchemy.create_engine(url, poolclass=NullPool, **connects)
    names = sqlalchemy.inspect(engine).get_table_names()
    if VERSION not in names:
        return False
    if "version_info" not in names:
        raise SearchError(
            f"hydra.sweeper.storage: the database {url.database} holds the tables of another "
            "program, as MLflow; studies need a database of their own, on the same server or not"
        )
    with engine.connect() as connection:
        return connection.exec_driver_sql(f"SELECT * FROM {VERSION}").first() is not None


def _make_tables(url: str, connects: dict[str, Any]) -> None:
    """Makes the tables; programs that do at once trip each other, and all but one do so again."""
    for tried in range(TRIES):
        try:
            Storage(url, grace_period=1, engine_kwargs={**connects, "poolclass": NullPool})
            return
        except DBAPIError:  # which one goes by the database
            if tried == TRIES - 1:
                raise
            time.sleep(random.random())


def _execute(statement: str, connection: Any, _record: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
    connection.commit()


def _build(path: Path) -> None:
    _sqlite(sqlite_url(path), grace_period=1).engine.dispose()


def _sqlite(url: str, **arguments: Any) -> Storage:
    # As many connections as there are threads; two for each slot, as one beats.
    engine = {"pool_size": 0, "connect_args": {"timeout": SQLITE_TIMEOUT_S}}
    return Storage(url, engine_kwargs=engine, **arguments)


def _set_pragmas(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # else sqlite3 begins transactions of its own
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _begin_immediate(connection: sqlalchemy.Connection) -> None:
    is_read = READS.items() <= connection.get_execution_options().items()
    connection.exec_driver_sql("BEGIN" if is_read else "BEGIN IMMEDIATE")

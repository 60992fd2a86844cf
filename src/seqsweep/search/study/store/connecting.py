"""How a database behind a server is opened: PostgreSQL, MySQL, MariaDB."""

from __future__ import annotations

import math
import random
import re
import time
from functools import partial
from typing import Any

import sqlalchemy
from sqlalchemy.engine import URL, Dialect, make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError, NoSuchModuleError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from seqsweep.errors import SearchError, first_line
from seqsweep.search.study.store.base import ACCEPTED, NoStudiesError
from seqsweep.search.study.store.database import Database
from seqsweep.search.study.store.remote import RemoteDatabase

CONNECT_S = 10  # to a server, after which it counts as away
IDLE_S = 1.0  # after which a connection is tried before it is used
IDLE_SINCE = "seqsweep_idle_since"
N_CONNECTIONS = 4  # of one process at most; its threads take turns, each for milliseconds
TRIES = 5  # at making the tables
VERSION = "alembic_version"
DRIVERS = {
    "postgresql": "pip install 'psycopg[binary]', or the extra postgresql of seqsweep",
    "mysql": "pip install pymysql, or the extra mysql of seqsweep, and write mysql+pymysql://",
}
DRIVERS["mariadb"] = DRIVERS["mysql"].replace("mysql+pymysql", "mariadb+pymysql")
# Heartbeats are kept by the server's clock as the connection shows it.
IN_UTC = {"postgresql": "SET TIME ZONE 'UTC'", "mysql": "SET time_zone = '+00:00'"}
IN_UTC["mariadb"] = IN_UTC["mysql"]


def open_remote(url: str, *, makes_tables: bool = True, **arguments: Any) -> Database:
    """Opens a database behind a server.

    Args:
        url: an SQLAlchemy URL.
        makes_tables: whether to make the tables where there are none.
        arguments: what `Database` takes else.

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
        "pool_size": N_CONNECTIONS,
        "max_overflow": 0,
    }
    storage = RemoteDatabase(url, engine_kwargs=engine, makes_tables=False, **arguments)
    sqlalchemy.event.listen(storage.engine, "checkin", _note_the_time)
    sqlalchemy.event.listen(storage.engine, "checkout", partial(_try, storage.engine.dialect))
    if (statement := IN_UTC.get(read.get_backend_name())) is not None:
        sqlalchemy.event.listen(storage.engine, "connect", partial(_execute, statement))
        storage.engine.dispose()
    return storage


def _with_psycopg(url: str) -> str:
    """Lets `postgresql://` mean psycopg 3, as with SQLAlchemy 2.1; for Python 3.10 there is 2.0."""
    return re.sub("^postgresql://", "postgresql+psycopg://", url)


def _check_driver(url: URL) -> None:
    try:
        url.get_dialect().import_dbapi()
    except NoSuchModuleError as error:
        raise SearchError(
            f"hydra.sweeper.storage begins with {url.drivername}://, which is no database that we "
            f"know: {ACCEPTED}"
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
            Database(url, grace_period=1, engine_kwargs={**connects, "poolclass": NullPool})
            return
        except DBAPIError:  # which one goes by the database
            if tried == TRIES - 1:
                raise
            time.sleep(random.random())


def _note_the_time(_connection: Any, record: ConnectionPoolEntry) -> None:
    record.info[IDLE_SINCE] = time.monotonic()


def _try(dialect: Dialect, connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
    """Lets a connection be opened again that the server has closed while nobody used it.

    `pool_pre_ping` would do so each time, which is one round trip in six to nine.
    """
    if time.monotonic() - record.info.get(IDLE_SINCE, math.inf) > IDLE_S:
        try:
            dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error


def _execute(statement: str, connection: Any, _record: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
    connection.commit()

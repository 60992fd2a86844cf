"""How a store of studies is opened, by its address: the path of an SQLite file, or a URL."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType

from seqsweep.errors import SearchError, UserError, first_line
from seqsweep.search.study.store.base import ACCEPTED, OnLost, Store, store_error
from seqsweep.search.study.store.connecting import open_remote
from seqsweep.search.study.store.journal import open_journal, read_journal
from seqsweep.search.study.store.sqlite import open_sqlite, read_sqlite
from seqsweep.stores import file_of_studies, journal_file, sqlite_url

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
    try:
        journal = journal_file(place)
        open_it = partial(_opens(url), url) if journal is None else partial(open_journal, journal)
        return open_it(grace_period=grace_period, on_lost=on_lost, total=total)
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
    file = file_of_studies(place)
    if file is None:
        return _opens(place, makes_tables=False)(place, grace_period=SECONDS)
    if not file.is_file():
        raise SearchError(
            f"there is no store of studies at {file}: the first sweep makes it, as python "
            "src/run.py -m sweep does; or name another, as --storage=FILE"
        )
    read_it = read_sqlite if journal_file(place) is None else read_journal
    return read_it(file, grace_period=SECONDS)


def _opens(url: str, *, makes_tables: bool = True) -> Callable[..., Store]:
    if is_sqlite(url):
        return open_sqlite
    if url.startswith("grpc://"):
        return with_grpc("proxy").open_proxy
    return partial(open_remote, makes_tables=makes_tables)


def with_grpc(module: str) -> ModuleType:
    """Imports the module `proxy` or `serving` of this package.

    Raises:
        SearchError: gRPC is not installed.
    """
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # else it writes on the screen at a fork
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # and what it raises, or asks again, too
    try:
        return import_module(f"seqsweep.search.study.store.{module}")
    except ImportError as error:
        raise SearchError(
            "hydra.sweeper.storage=grpc://… and seqsweep proxy need packages that are missing "
            f"({first_line(error)}): pip install grpcio protobuf, or the extra grpc of seqsweep"
        ) from error


def is_sqlite(place: str) -> bool:
    """Says whether the store is a file of SQLite."""
    return "://" not in place or place.startswith("sqlite")

"""Files that hold studies or runs: their addresses, and how one of SQLite's comes to be."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from seqsweep.errors import ConfigError, first_line
from seqsweep.folders import make_folder

JOURNAL = "journal://"


def journal_file(place: str) -> Path | None:
    """Gives the journal that an address names, None where it names something else.

    Raises:
        ConfigError: it begins like one, but names no file.
    """
    if not place.startswith(JOURNAL):
        return None
    path = place.removeprefix(JOURNAL)
    if not re.match("/.*[^/]$", path):
        raise ConfigError(
            f"{place} is no address of a journal file: journal:///FILE is accepted, as "
            "journal:///studies.journal, or journal:////shared/studies.journal from the root on"
        )
    return Path(path[1:]).expanduser().absolute()


def file_of_studies(place: str) -> Path | None:
    """Gives the file that an address of a store of studies names, None where it is a server's.

    Raises:
        ConfigError: it is no address.
    """
    return journal_file(place) or sqlite_file(place)


def found_from_anywhere(place: str) -> str:
    """Gives the address of a store of studies with its file's path from the root on.

    Raises:
        ConfigError: it is no address.
    """
    if (journal := journal_file(place)) is not None:
        return f"{JOURNAL}/{journal}"
    file = sqlite_file(place)
    return place if file is None else str(file)


def sqlite_url(path: Path) -> str:
    """Gives the SQLAlchemy URL of an SQLite file, whatever characters its path holds."""
    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


def sqlite_file(place: str) -> Path | None:
    """Gives the SQLite file that a path or an SQLAlchemy URL names, None where it is a server's.

    Raises:
        ConfigError: it is neither.
    """
    if "://" not in place:
        return Path(place).expanduser().absolute()
    if not place.startswith("sqlite"):
        return None
    try:
        url = make_url(place)
        url.get_dialect()  # of a driver that does not exist
    except (ArgumentError, ValueError) as error:
        raise ConfigError(
            f"{place} is no address of a store: {first_line(error)}; a path, or an SQLAlchemy URL "
            "as sqlite:///FILE, is accepted"
        ) from error
    return Path(url.database).absolute() if url.database else None


def file_of_runs(uri: str) -> Path | None:
    """Gives the SQLite file that an address of an MLflow store names, None where it names none.

    To MLflow a plain path is the folder of a file store; here that of a file is accepted too.

    Raises:
        ConfigError: it is no address.
    """
    is_file = "://" in uri or uri.endswith(".db") or Path(uri).is_file()
    return sqlite_file(uri) if is_file else None


def read_only(path: Path) -> sqlite3.Connection:
    """Opens an SQLite file to read it; neither it nor what lies beside it is written.

    Where a file has a write-ahead log, but none lies there, nobody writes it now, and SQLite would
    make the log to look.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    is_at_rest = _has_log(path) and not path.with_name(f"{path.name}-wal").exists()
    how = "immutable=1" if is_at_rest else "mode=ro"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, isolation_level=None)


def reading_options(path: Path) -> dict[str, Any]:
    """Gives what `sqlalchemy.create_engine` takes to read the file as `read_only` does."""
    return {"creator": lambda: read_only(path), "poolclass": NullPool}


def _has_log(path: Path) -> bool:
    """Says whether the header names a write-ahead log: https://sqlite.org/fileformat.html."""
    try:
        with path.open("rb") as file:
            return file.read(20)[18:20] == b"\2\2"
    except OSError:
        return False


def make_whole(path: Path, build: Callable[[Path], None]) -> None:
    """Makes the file `path` where it does not exist, whole or not at all.

    Both Optuna and MLflow build their tables in many steps: a program that is ended among them
    would leave a file that no later start can use, and two that begin at once trip each other.

    Args:
        path: the file.
        build: makes such a file at another path, and closes it.

    Raises:
        ConfigError: the folder cannot be made or written.
    """
    make_folder(path.parent)
    if path.exists():
        return
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}-") as folder:
        new = Path(folder) / path.name
        build(new)
        try:
            path.hardlink_to(new)
        except FileExistsError:
            return  # another program was faster
        except OSError:  # a file system without hard links
            new.rename(path)

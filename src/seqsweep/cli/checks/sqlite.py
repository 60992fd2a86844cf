"""Whether the SQLite files of both stores are whole and can be written."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from seqsweep.cli.checks import Check, fail, ok, warn
from seqsweep.stores import read_only

LOCK_S = 2.0  # how long a lock is waited for: a sweep's own writes take milliseconds
MOST = 3  # problems of a file that are told


def check_sqlite(name: str, file: Path) -> list[Check]:
    """Looks for a log without its database, a damaged file, and one that another program locks."""
    log = file.with_name(f"{file.name}-wal")
    if not file.exists():
        if log.exists():
            return [
                fail(
                    name,
                    f"{log} lies there without {file.name}",
                    f"put {file.name} back beside it, for it holds what was written last; or, if "
                    f"{file.name} was deleted on purpose, delete {log.name} too",
                )
            ]
        return [ok(name, f"{file} is not there yet: the first run makes it")]
    return [_whole(name, file), _writable(name, file)]


def _whole(name: str, file: Path) -> Check:
    try:
        with contextlib.closing(read_only(file)) as connection:
            connection.execute(f"PRAGMA busy_timeout={int(LOCK_S * 1000)}")
            found = [row[0] for row in connection.execute("PRAGMA quick_check")]
    except sqlite3.Error as error:
        if _is_of_a_lock(error):
            return warn(name, f"{file} cannot be looked at while it is locked", "see the next row")
        return _damaged(name, file, str(error))
    if found != ["ok"]:
        return _damaged(name, file, "; ".join(found[:MOST]))
    return ok(name, f"{file} is whole, {file.stat().st_size / 1e6:.1f} MB")


def _damaged(name: str, file: Path, why: str) -> Check:
    return fail(
        name,
        f"{file} is damaged: {' '.join(why.split())}",
        f"stop what uses it and take back a copy; or save what can be read by sqlite3 {file.name} "
        f"'.recover' | sqlite3 new.db; or move {file.name} away, and a new one is made",
    )


def _writable(name: str, file: Path) -> Check:
    """Takes the lock of a writer for an instant, and gives it back without writing."""
    name = f"{name}, lock"
    try:
        uri = f"{file.absolute().as_uri()}?mode=rw"
        with contextlib.closing(
            sqlite3.connect(uri, uri=True, timeout=LOCK_S, isolation_level=None)
        ) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        if not _is_of_a_lock(error):
            return fail(
                name, f"{file} cannot be written: {error}", "see the row above, or its rights"
            )
        who = _users(file)
        return fail(
            name,
            f"{file} is locked for more than {LOCK_S:g} s by another program{who}",
            "end that program, if it hangs: the system then gives the lock back",
        )
    return ok(name, "free")


def _is_of_a_lock(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", None)  # from Python 3.11 on
    is_busy = code is not None and code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return is_busy or "locked" in str(error)


def _users(file: Path) -> str:
    """Says which processes have the file open, as far as this user sees; for Linux."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(Path(each).exists() and each.samefile(file) for each in process.glob("fd/*")):
                found.append(process.name)
    return f", process {' or '.join(found)}" if found else ""

"""Whether a journal file of studies is whole and can be written."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from seqsweep.cli.checks import Check, fail, ok, warn

LOCK_S = 2.0  # how long a lock is watched: one is held for milliseconds


def check_journal(name: str, file: Path) -> list[Check]:
    """Looks for a line that cannot be read, for the right to write, and for a lock that stays."""
    if not file.exists():
        return [ok(name, f"{file} is not there yet: the first run makes it")]
    return [_whole(name, file), _writable(f"{name}, lock", file)]


def _whole(name: str, file: Path) -> Check:
    try:
        number = _damaged_line(file)
    except OSError as error:
        return fail(name, f"{file} cannot be read: {error.strerror}", "mend the address")
    if number is not None:
        return fail(
            name,
            f"{file} is damaged: its line {number} is no JSON",
            "stop what uses it and take back a copy; or delete that line: what it says is lost",
        )
    return ok(name, f"{file} is whole, {file.stat().st_size / 1e6:.1f} MB")


def _damaged_line(file: Path) -> int | None:
    """Gives the number of the first line that is damaged; half a line at the end is none."""
    with file.open("rb") as opened:
        for number, line in enumerate(opened, start=1):
            if not line.endswith(b"\n"):
                return None
            try:
                json.loads(line)
            except ValueError:
                return number
    return None


def _writable(name: str, file: Path) -> Check:
    from seqsweep.search.study.store.lock import DEAD_S

    if not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)):
        return fail(
            name,
            f"{file} or its folder cannot be written",
            "give yourself the right to write both: the lock is made in the folder",
        )
    lock = file.with_name(f"{file.name}.lock")
    if _stays(lock):
        return warn(
            name,
            f"{lock} has been held by one program for more than {LOCK_S:g} s",
            "none, if that program was killed: the next one that waits breaks the lock after "
            f"{DEAD_S:.0f} s",
        )
    return ok(name, "free")


def _stays(lock: Path) -> bool:
    before, end = _made(lock), time.monotonic() + LOCK_S
    while before is not None and _made(lock) == before:
        if time.monotonic() > end:
            return True
        time.sleep(0.05)
    return False


def _made(lock: Path) -> int | None:
    try:
        return lock.lstat().st_mtime_ns
    except OSError:
        return None

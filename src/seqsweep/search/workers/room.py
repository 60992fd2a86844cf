"""A full disk: how it is known, and what is said of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from seqsweep.errors import causes
from seqsweep.outcome import Failed

NO_ROOM = "no space is left"
MORE_ROOM = "with more room"
LITTLE = 50e6  # bytes; else it is some other disk that is full, which the failure may name
# As SQLite, the system and a database server say it; of a trial's process only the text is known.
SIGNS = (NO_ROOM, "database or disk is full", "No space left on device", "Disk quota exceeded")


def says_full(text: str) -> bool:
    """Says whether a text tells of a full disk."""
    return any(sign in text for sign in SIGNS)


def is_full(error: BaseException) -> bool:
    """Says whether an error comes of a full disk."""
    return any(says_full(str(each)) for each in causes(error))


def named(outcome: Failed) -> Failed:
    """Gives the outcome with the full disk in its reason, where its traceback tells of one."""
    if says_full(outcome.reason) or not says_full(outcome.traceback):
        return outcome
    return replace(outcome, reason=f"{NO_ROOM}: {outcome.reason}")


def with_more_room(why: str, places: Iterable[Path], how: str) -> str:
    """Adds to what failed where there is little room, and how the sweep can go on."""
    free = {place: shutil.disk_usage(place).free for place in map(_existing, places)}
    place = min(free, key=free.__getitem__)
    where = f" in {place} ({free[place] / 1e6:.1f} MB are left)" if free[place] < LITTLE else ""
    return f"{why}; {MORE_ROOM}{where} {how}"


def _existing(place: Path) -> Path:
    return next(each for each in (place, *place.parents) if each.is_dir())

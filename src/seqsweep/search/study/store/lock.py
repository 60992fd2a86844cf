"""The lock of a journal file, which holds between threads, processes and hosts."""

from __future__ import annotations

import contextlib
import math
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from optuna.exceptions import StorageInternalError

from seqsweep.signals import held_back

# That a lock is held, after which its holder counts as dead. One holds it for milliseconds, but NFS
# may give for up to a minute what it remembers of a file.
DEAD_S = 90.0
PATIENCE_S = 180.0  # that one holder is waited for, where its lock cannot be broken
HURRY_S = 4.0  # that all are waited for, once the program is to end
PAUSES_S = (0.001, 0.05)  # between two tries: the first, and the longest
Identity: TypeAlias = "tuple[int, int]"  # what tells one link from the next of the same name


class LinkLock:
    """A symbolic link beside the journal: that of Optuna's own lock, so that its programs wait too.

    A link is made at once or not at all on every file system that has them, NFS among them, where
    `fcntl.flock` may hold for one host only. What it lacks is an end with its holder: a lock of
    which nobody has heard for `DEAD_S` is broken, once among all that wait for it.
    """

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._link = journal.with_name(f"{journal.name}.lock")
        self._own: Identity | None = None
        self._seen: Identity | None = None  # who has it, and since when that is known
        self._since = 0.0
        self._hurried_at = math.inf

    def hurry(self) -> None:
        """Says that the program is to end; may be called by a signal's handler."""
        self._hurried_at = min(self._hurried_at, time.monotonic())

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Waits for the lock, and holds it in this block, behind which a signal has to wait.

        Raises:
            OSError: the file system has no symbolic links, or the folder cannot be written.
            StorageInternalError: it was held for longer than that is waited for.
        """
        pause, longest = PAUSES_S
        with contextlib.ExitStack() as signals:
            signals.enter_context(held_back())
            while not self._is_made():
                signals.close()
                self._wait(pause)
                pause = min(2 * pause, longest)
                signals.enter_context(held_back())
            try:
                yield
            finally:
                if self.is_held:
                    self._link.unlink(missing_ok=True)
                self._own = None

    @property
    def is_held(self) -> bool:
        """Whether it still is ours: a program that slept meanwhile counts as dead to others."""
        return self._own is not None and _identity(self._link) == self._own

    def _wait(self, pause: float) -> None:
        """Waits a moment, and breaks the lock of one that is dead."""
        found, now = _identity(self._link), time.monotonic()
        if found is None or found != self._seen:  # free just now, or another's
            self._seen, self._since = found, now
        elif now - self._since > DEAD_S:
            self._break(found)
        if now - self._since > PATIENCE_S or now - self._hurried_at > HURRY_S:
            raise StorageInternalError(
                f"{self._link} was held for {now - self._since:.0f} s; where no program uses the "
                "journal any more, delete it"
            )
        time.sleep(random.uniform(0, pause))

    def _is_made(self) -> bool:
        try:
            # By its name, as other hosts may know the folder by another path
            self._link.symlink_to(self._journal.name)
        except FileExistsError:
            return False
        self._own, self._seen = _identity(self._link), None
        return True

    def _break(self, found: Identity) -> None:
        """Removes the lock of a dead holder, if it is still that; one of many does."""
        with self._alone_in_breaking(found) as is_alone:
            if is_alone and _identity(self._link) == found:
                self._link.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _alone_in_breaking(self, found: Identity) -> Iterator[bool]:
        mark = self._link.with_name(f"{self._link.name}.{found[0]}-{found[1]}")
        try:
            mark.symlink_to(self._link.name)
        except FileExistsError:
            yield False
            return
        try:
            yield True
        finally:
            mark.unlink(missing_ok=True)


def _identity(link: Path) -> Identity | None:
    try:
        found = os.lstat(link)
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns

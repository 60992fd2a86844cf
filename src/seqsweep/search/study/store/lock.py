"""The lock of a journal file, which holds between threads, processes and hosts."""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from optuna.exceptions import StorageInternalError
from optuna.storages.journal._file import BaseJournalFileLock

DEAD_S = 30.0  # that a lock is held, after which its holder counts as dead; one holds it for ms
PATIENCE_S = 120.0  # that one holder is waited for, where its lock cannot be broken
HURRY_S = 4.0  # that any is waited for, where the program is to end
PAUSES_S = (0.001, 0.05)  # between two tries: the first, and the longest
Identity: TypeAlias = "tuple[int, int]"  # what tells one link from the next of the same name


class LinkLock(BaseJournalFileLock):
    """A symbolic link beside the journal: that of Optuna's own lock, so that its programs wait too.

    A link is made at once or not at all on every file system that has them, NFS among them, where
    `fcntl.flock` may hold for one host only. What it lacks is an end with its holder: a lock of
    which nobody has heard for `DEAD_S` is broken, once among all that wait for it.

    A thread that has it may take it again.
    """

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._link = journal.with_name(f"{journal.name}.lock")
        self._depth = 0
        self._own: Identity | None = None
        self.is_hurried = False  # the program is to end

    def acquire(self) -> bool:
        """Waits for the lock.

        Raises:
            OSError: the file system has no symbolic links, or the folder cannot be written.
            StorageInternalError: it was held for longer than that is waited for.
        """
        if self._depth == 0:
            self._take()
        self._depth += 1
        return True

    def release(self) -> None:
        """Gives the lock back."""
        self._depth -= 1
        if self._depth == 0 and self.is_held:
            self._link.unlink(missing_ok=True)

    @property
    def is_held(self) -> bool:
        """Whether it still is ours: a program that slept meanwhile counts as dead to others."""
        return self._own is not None and _identity(self._link) == self._own

    def _take(self) -> None:
        began = since = time.monotonic()
        seen, (pause, longest) = None, PAUSES_S
        while not self._is_made():
            found, now = _identity(self._link), time.monotonic()
            if found != seen:
                seen, since = found, now
            elif found is not None and now - since > DEAD_S:
                self._break(found)
            if now - since > PATIENCE_S or (self.is_hurried and now - began > HURRY_S):
                raise StorageInternalError(
                    f"{self._link} was held for {now - began:.0f} s; where no program uses the "
                    "journal any more, delete it"
                )
            time.sleep(random.uniform(0, pause))
            pause = min(2 * pause, longest)

    def _is_made(self) -> bool:
        try:
            # By its name, as other hosts may know the folder by another path
            self._link.symlink_to(self._journal.name)
        except FileExistsError:
            return False
        self._own = _identity(self._link)
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

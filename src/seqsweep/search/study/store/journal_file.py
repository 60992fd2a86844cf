"""A journal file as Optuna writes it, that many append to."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock

from seqsweep.errors import first_line
from seqsweep.search.study.store.lock import LinkLock


class JournalFile(JournalFileBackend):
    """Optuna's file, which a program may have for itself for a while.

    What the file system raises becomes Optuna's own error of a store that fails.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._link = LinkLock(file)
        self._is_alone = False
        super().__init__(str(file), _Held())

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Lets nobody else append while in this block; of one process, one thread comes here.

        It may come here again while it is in the block.
        """
        if self._is_alone:
            yield
            return
        with failing(self._file), self._link.held():
            self._is_alone = True
            try:
                self._mend()
                yield
            finally:
                self._is_alone = False

    def hurry(self) -> None:
        """Says that the program is to end, and waits for no lock for long any more."""
        self._link.hurry()

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Appends lines, and waits for the disk to have them."""
        with self.alone(), failing(self._file):
            self._check_that_it_is_held()
            super().append_logs(logs)

    def _check_that_it_is_held(self) -> None:
        if not self._link.is_held:
            raise StorageInternalError(f"{self._file}: its lock was broken by another program")

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Reads the lines from that number on; a last one that is not whole is not there yet."""
        with failing(self._file):
            yield from super().read_logs(log_number_from)

    def _mend(self) -> None:
        """Takes away half a line, which one that was killed or had no room has left.

        Nobody has read it, and nobody was told that it is written. With the next line behind it,
        none of the file's readers would ever come past it.
        """
        with failing(self._file), self._file.open("rb+") as file:
            if file.seek(0, os.SEEK_END) == 0:
                return
            file.seek(-1, os.SEEK_END)
            if file.read() != b"\n":
                file.seek(0)
                whole = file.read().rfind(b"\n") + 1
                self._check_that_it_is_held()
                file.truncate(whole)


class _Held(BaseJournalFileLock):
    """What Optuna takes as it appends: `alone` has the lock then."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


@contextlib.contextmanager
def failing(file: Path) -> Iterator[None]:
    """Raises Optuna's own error for what the system, or a line that cannot be read, raises."""
    try:
        yield
    except OSError as error:
        raise StorageInternalError(f"{file}: {error.strerror or first_line(error)}") from None
    except ValueError as error:  # of JSON, or of bytes that are no text
        raise StorageInternalError(f"{file} is damaged: {first_line(error)}") from None

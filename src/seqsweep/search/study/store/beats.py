"""Files that say who is alive, where no database does."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from tempfile import TemporaryFile

GONE = (errno.ENOENT, errno.ESTALE)  # the second by NFS, of a file that another host has removed


class Beats:
    """A file for each trial that runs, last written when its worker was last heard of.

    All times are in seconds by the clock of whoever keeps the files, so that no two hosts' clocks
    are compared. Files and folders are opened to be looked at: NFS gives the times of one that is
    not from memory, for up to a minute.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def beat(self, study_id: int, trial_id: int) -> None:
        """Says that the trial's worker is alive."""
        file = self._file(study_id, trial_id)
        try:
            file.touch()
        except FileNotFoundError:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()

    def end(self, study_id: int, trial_id: int) -> None:
        """Forgets a trial that has ended."""
        self._file(study_id, trial_id).unlink(missing_ok=True)

    def last(self, study_id: int) -> dict[int, float]:
        """Gives the time of the last beat of each trial that has not ended."""
        folder, found = self._of(study_id), {}
        with contextlib.suppress(FileNotFoundError):
            for file in [each for each in folder.iterdir() if each.name.isdecimal()]:
                try:
                    found[int(file.name)] = _written(file)
                except OSError as error:
                    if error.errno not in GONE:  # its trial has just ended
                        raise
        return found

    def last_of_any(self, study_id: int) -> float:
        """Gives when the study was last heard of: a beat, or the begin or end of a trial."""
        beats = self.last(study_id).values()
        with contextlib.suppress(FileNotFoundError):
            return max(self._of(study_id).stat().st_mtime, *beats)
        return 0.0

    def now(self) -> float:
        """Gives the time by the same clock."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=self.folder) as file:
            return os.fstat(file.fileno()).st_mtime

    def _of(self, study_id: int) -> Path:
        return self.folder / str(study_id)

    def _file(self, study_id: int, trial_id: int) -> Path:
        return self._of(study_id) / str(trial_id)


def _written(file: Path) -> float:
    with file.open("rb") as opened:
        return os.fstat(opened.fileno()).st_mtime

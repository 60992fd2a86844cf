"""Which study a sweep runs, a new one or one that was not finished, and that no other runs it too.

A study's folder holds a file that the sweep locks. The system gives the lock back however the
program ends, so a study whose file is not locked is one that nobody runs.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from omegaconf import open_dict

from seqsweep.errors import SearchError
from seqsweep.folders import make_folder
from seqsweep.search.workers.jobs import Jobs
from seqsweep.secrets import masked_yaml

OWN_FILE = "multirun.yaml"  # a sweep's folder has it, as with Hydra's sweepers
LOOK_S = 0.02  # far longer than `is_run_in` holds the lock


@dataclass
class Claim:
    """Names the study, which names the folder, and takes both."""

    jobs: Jobs
    is_new: bool = True
    has_begun: bool = False  # the study is in the store, with this folder
    _lock: IO[str] | None = field(default=None, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Leaves the lock with this process."""
        return {**self.__dict__, "_lock": None}

    @property
    def base(self) -> str:
        """What a study without a name of its own is named after."""
        master = self.jobs.master
        return master.hydra.runtime.choices.get("sweep") or master.hydra.job.name

    @property
    def given_name(self) -> str | None:
        """The name that the user gave."""
        return self.jobs.settings.study_name

    def continue_in(self, name: str, folder: Path) -> bool:
        """Takes the study that has run in `folder`; gives False where a sweep runs it now.

        Raises:
            ConfigError: the folder is gone and cannot be made.
        """
        make_folder(folder)
        lock = (folder / OWN_FILE).open("a")
        if not _locked(lock):
            lock.close()
            return False
        self._lock, self.is_new = lock, False
        self.jobs.call_study(name)
        with open_dict(self.jobs.master):
            self.jobs.master.hydra.sweep.dir = str(folder)
        return True

    def take_after(self, number: int) -> None:
        """Takes the given name, or the first after `number` whose folder no sweep has taken.

        The folder is taken by the file in it, which only one program can make.

        Raises:
            SearchError: the folder holds another sweep.
            ConfigError: it cannot be made.
        """
        tried: Path | None = None
        while True:
            number += 1
            self.jobs.call_study(self.given_name or f"{self.base}-{number}")
            folder = self.jobs.folder
            make_folder(folder)
            self._lock = _made(folder / OWN_FILE)
            if self._lock is not None:
                return
            if self.given_name is not None:
                raise self.taken()
            if folder == tried:
                raise SearchError(
                    f"the folder {folder} holds another sweep; give hydra.sweep.dir another "
                    "folder, or one with ${now:%H-%M-%S} or ${hydra.sweeper.study_name} in it"
                )
            tried = folder

    def keep(self) -> None:
        """Writes the config, without secrets, into the folder; in place, as that file is locked."""
        (self.jobs.folder / OWN_FILE).write_text(masked_yaml(self.jobs.master), encoding="utf-8")

    def give_back(self) -> None:
        """Lets other sweeps take what this one has taken, and has not begun."""
        if self._lock is not None:
            if self.is_new and not self.has_begun:
                Path(self._lock.name).unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    @contextmanager
    def given_back_on_error(self) -> Iterator[None]:
        """Leaves the folder to other sweeps where this one does not come to begin."""
        try:
            yield
        except BaseException:
            self.give_back()
            raise

    def taken(self) -> SearchError:
        """Gives the error that the name is taken."""
        return SearchError(
            f"hydra.sweeper.study_name={self.jobs.study_name!r} is taken by an earlier sweep; give "
            "another name, or none for the next number"
        )


def has_run_in(folder: Path) -> bool:
    """Says whether a sweep has run in the folder, as far as this host sees."""
    return (folder / OWN_FILE).exists()


def is_run_in(folder: Path) -> bool:
    """Says whether a sweep runs in the folder now, as far as this host sees.

    Whoever looks shares the lock for an instant.
    """
    try:
        with (folder / OWN_FILE).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return isinstance(error, BlockingIOError)
    return False


def _made(path: Path) -> IO[str] | None:
    """Makes the file and locks it; gives None where a sweep has it.

    One that is empty and not locked was made by a program that was killed before its sweep began.
    """
    file = path.open("a")
    try:
        is_ours = _locked(file) and os.path.samestat(path.stat(), os.fstat(file.fileno()))
        if is_ours and path.stat().st_size == 0:
            return file
    except FileNotFoundError:  # given back just now, with what this has opened
        pass
    file.close()
    return None


def _locked(file: IO[str]) -> bool:
    """Locks the file; gives False where another sweep has. Not all file systems can.

    A second try tells a sweep from a program that only looks whether there is one.
    """
    for _ in range(2):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOOK_S)
        except OSError:
            return True
        else:
            return True
    return False

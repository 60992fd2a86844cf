"""Studies in Optuna's journal file: for a folder that several machines share, and no server."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, TrialState

from seqsweep.errors import SearchError
from seqsweep.folders import make_folder
from seqsweep.search.study.store.base import OnLost, Store
from seqsweep.search.study.store.beats import Beats
from seqsweep.search.study.store.journal_file import JournalFile, failing
from seqsweep.search.study.store.quota import Places
from seqsweep.search.workers.stops import RETRY_OF

BEGIN = b'{"op_code":'  # of each line of a journal


class Journal(Store, JournalStorage):
    """A store in a journal file, which each process reads whole, and goes on to read as it grows.

    What must be looked at and written in one step is written while the journal is locked. Beats
    are no lines of it but files in a folder beside it, `studies.journal.beats/STUDY/TRIAL`.
    """

    def __init__(
        self,
        file: Path,
        *,
        grace_period: int,
        on_lost: OnLost | None = None,
        total: int | None = None,
        only_reads: bool = False,
    ) -> None:
        Store.__init__(self, grace_period=grace_period, on_lost=on_lost, total=total)
        self._beats = Beats(file.with_name(f"{file.name}.beats"))
        self._only_reads = only_reads
        JournalStorage.__init__(self, JournalFile(file))
        self._thread_lock = threading.RLock()  # Optuna's own methods are called within it

    def hurry(self) -> None:
        """Says that the program is to end; may be called by a signal's handler."""
        self._backend.hurry()

    def close(self) -> None:
        """Closes nothing: the file is open only while it is read or written."""

    def beat(self, trial_id: int) -> None:
        """Says that the trial's worker is alive."""
        with failing(self._beats.folder):
            self._beats.beat(self._study_of(trial_id), trial_id)

    def silences(self, study_id: int) -> dict[int, float | None]:
        """Gives the seconds since the last beat of each trial that runs, None where it has none."""
        running = self.get_all_trials(study_id, deepcopy=False, states=(TrialState.RUNNING,))
        with failing(self._beats.folder):
            last, now = self._beats.last(study_id), self._now()
        ids = [trial._trial_id for trial in running]
        return {i: now - last[i] if i in last else None for i in ids}

    def silence_s(self, study_id: int, since: datetime) -> float:
        """Gives the seconds since the last beat of any trial of the study, or since `since`."""
        with failing(self._beats.folder):
            last, now = self._beats.last_of_any(study_id), self._now()
        return max(0.0, now - max(last, since.replace(tzinfo=timezone.utc).timestamp()))

    def now(self) -> datetime:
        """Gives the time by the clock of the machine that keeps the file."""
        with failing(self._beats.folder):
            return datetime.fromtimestamp(self._now(), timezone.utc).replace(tzinfo=None)

    def swap(self, study_id: int, key: str, old: Any, new: Any) -> bool:
        """Sets an attribute of the study where it is `old`; says whether it was."""
        with self._alone():
            if self.get_study_user_attrs(study_id).get(key) != old:
                return False
            self.set_study_user_attr(study_id, key, new)
            return True

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Makes a trial; one that is to wait has a template, and always has room."""
        if template_trial is not None or self.total is None:
            return super().create_new_trial(study_id, template_trial)
        with self._alone():
            self._places(study_id).heed(self.total)
            return super().create_new_trial(study_id)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Sets a trial's state; of several that would begin one that waits, one does."""
        if state is TrialState.RUNNING and self.total is not None:
            return self._begin_waiting(trial_id, self.total)
        is_set = super().set_trial_state_values(trial_id, state, values)
        if state.is_finished():
            with contextlib.suppress(OSError):  # a beat that is left there says nothing any more
                self._beats.end(self._study_of(trial_id), trial_id)
        return is_set

    def _begin_waiting(self, trial_id: int, total: int) -> bool:
        with self._alone():
            is_retry = RETRY_OF in self.get_trial(trial_id).user_attrs
            places = self._places(self._study_of(trial_id))
            may_begin = places.heed_of_waiting(total, is_retry=lambda: is_retry)
            return may_begin and super().set_trial_state_values(trial_id, TrialState.RUNNING)

    def _places(self, study_id: int) -> Places:
        trials = self._replay_result.get_all_trials(study_id, None)
        retries = [trial for trial in trials if RETRY_OF in trial.user_attrs]
        begun = sum(trial.state is not TrialState.WAITING for trial in trials)
        return Places(
            taken=begun - len({trial.user_attrs[RETRY_OF] for trial in retries}),
            kept=sum(trial.state is TrialState.WAITING for trial in retries),
        )

    def _study_of(self, trial_id: int) -> int:
        return self._replay_result._trial_id_to_study_id[trial_id]

    def _now(self) -> float:
        """Gives the time in seconds; who must not write has that of its own machine."""
        return time.time() if self._only_reads else self._beats.now()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Knows all that stands in the journal, to which nobody else appends meanwhile."""
        with self._thread_lock, self._backend.alone():
            self._sync_with_backend()
            yield


def open_journal(file: Path, **arguments: Any) -> Journal:
    """Opens a journal, which it makes where there is none.

    Args:
        file: its absolute path.
        arguments: what `Journal` takes.

    Raises:
        SearchError: it is something else.
        ConfigError: its folder cannot be made or written.
        OSError: it cannot be written.
    """
    make_folder(file.parent)
    if not file.exists():  # what is left of an earlier one has its trials' numbers
        shutil.rmtree(file.with_name(f"{file.name}.beats"), ignore_errors=True)
    elif not file.is_file():
        raise SearchError(
            f"hydra.sweeper.storage: {file} is no file; give the path of a journal, which the "
            "first sweep makes, as journal:///studies.journal"
        )
    with file.open("ab"):
        _check(file)
    journal = Journal(file, **arguments)
    with journal._alone():  # whether the file system can lock
        return journal


def read_journal(file: Path, **arguments: Any) -> Journal:
    """Opens a journal to read it, and writes nothing.

    Raises:
        SearchError: it is something else.
        OSError: it cannot be read.
    """
    _check(file)
    return Journal(file, only_reads=True, **arguments)


def _check(file: Path) -> None:
    """Refuses another file: one of a single line, whatever it says, Optuna takes for empty.

    Of a journal the first line may be cut, where its first program was killed.
    """
    with file.open("rb") as opened:
        found = opened.read(len(BEGIN))
        if not BEGIN.startswith(found):
            raise SearchError(f"hydra.sweeper.storage: {file} is no journal of Optuna's")

"""What a sweep needs of the store of its studies, beyond what Optuna asks of one."""

from __future__ import annotations

import time
import uuid
from abc import abstractmethod
from collections.abc import Callable
from datetime import datetime
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from optuna.storages._heartbeat import BaseHeartbeat
from optuna.trial import FrozenTrial
from sqlalchemy.exc import SQLAlchemyError

from seqsweep.errors import SearchError, causes, first_line

LOOK_S = 1.0  # at least from one look for trials that were not heard of to the next
BEATS = 4  # of a running trial within the grace period
LOST = "seqsweep:lost"  # and a trial's number: a study's attribute, set by who is told of it

STORE_ERRORS = (StorageInternalError, SQLAlchemyError)  # what a store raises that fails

ACCEPTED = (
    "accepted are the path of an SQLite file and a URL, as "
    "postgresql://USER@HOST/DATABASE or mysql+pymysql://USER@HOST/DATABASE, with :PASSWORD behind "
    "USER or in PGPASSWORD, grpc://HOST:PORT of a proxy, or journal:///FILE"
)

# Hears of a trial that has failed because its worker was not heard of any more.
OnLost = Callable[[optuna.Study, FrozenTrial], None]


class AllTakenError(Exception):
    """As many trials run, or have ended, as the sweep is to have."""


class NoStudiesError(SearchError):
    """A store in which no sweep has begun yet."""


class Store(BaseStorage, BaseHeartbeat):
    """Optuna's store; while a trial runs, its worker is heard of in it.

    Optuna beats once a trial is claimed, and before each new trial it fails those whose last beat
    is longer ago than the grace period; `on_lost` hears of each, once among all processes. So are
    those that run for as long before our eyes without a first beat: their worker was killed between
    the two, or never heard that the store had given it the trial.

    Where several workers serve a study, no trial begins beyond `total`: `create_new_trial` without
    a template, and `set_trial_state_values` of one that waits, raise `AllTakenError` then.
    """

    def __init__(
        self, *, grace_period: int, on_lost: OnLost | None = None, total: int | None = None
    ) -> None:
        self.grace_period = grace_period
        self.total = total
        self._on_lost = on_lost
        self._own: set[int] = set()
        self._next_look = 0.0
        self._mute: dict[int, float] = {}  # since when trials are known that never were heard of

    @abstractmethod
    def beat(self, trial_id: int) -> None:
        """Says that the trial's worker is alive."""

    @abstractmethod
    def silences(self, study_id: int) -> dict[int, float | None]:
        """Gives the seconds since the last beat of each trial that runs, None where it has none."""

    @abstractmethod
    def silence_s(self, study_id: int, since: datetime) -> float:
        """Gives the seconds since the last beat of any trial of the study, or since `since`."""

    @abstractmethod
    def now(self) -> datetime:
        """Gives the time by the store's clock, which all hosts share."""

    @abstractmethod
    def swap(self, study_id: int, key: str, old: Any, new: Any) -> bool:
        """Sets an attribute of the study where it is `old`; says whether it was.

        Of two programs that do this at once, one does. An attribute that is not there is None.
        """

    def hurry(self) -> None:
        """Says that the program is to end: from now on nothing waits long for a store."""

    @abstractmethod
    def close(self) -> None:
        """Closes what is open."""

    def record_heartbeat(self, trial_id: int) -> None:
        """Says that this process runs the trial.

        What the store raises would end the thread that beats, and with it the trial's life to all
        others; the next beat may get through.
        """
        self._own.add(trial_id)
        try:
            self.beat(trial_id)
        except STORE_ERRORS:
            self._wait_for_others()

    def get_heartbeat_interval(self) -> int:
        """Gives the seconds from one beat to the next."""
        return max(1, self.grace_period // BEATS)

    def get_heartbeat_stale_trial_callback(self) -> OnLost | None:
        """Gives what hears of lost trials."""
        return self._on_lost and self._tell_once

    def _tell_once(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Tells of a lost trial; who failed it is not known where the store was away just then."""
        if self.swap(study._study_id, f"{LOST}:{trial.number}", None, uuid.uuid4().hex):
            self._on_lost(study, trial)

    def _wait_for_others(self) -> None:
        """Takes no trial for lost for a while: others were not heard in a store that was away."""
        self._next_look = time.monotonic() + self.grace_period

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        """Gives the trials that were not heard of; none of this process, which may have slept.

        Optuna asks at the start of each trial; short ones need not all look.
        """
        now = time.monotonic()
        if now < self._next_look:
            return []
        self._next_look = now + LOOK_S
        found = self.silences(study_id)
        mute = [trial_id for trial_id, silence_s in found.items() if silence_s is None]
        self._mute = {trial_id: self._mute.get(trial_id, now) for trial_id in mute}
        found |= {trial_id: now - since for trial_id, since in self._mute.items()}
        return [
            trial_id
            for trial_id, silence_s in found.items()
            if silence_s > self.grace_period and trial_id not in self._own
        ]


def store_error(what: str, error: Exception) -> SearchError:
    """Gives the error that the store cannot be opened, written …"""
    why = first_line(error.__cause__ or error)
    return SearchError(f"hydra.sweeper.storage cannot be {what}: {why}")


def why_it_failed(error: BaseException) -> str:
    """Says what a store has failed by, in one line; Optuna may raise another error on top of it."""
    for kind in (SQLAlchemyError, StorageInternalError):
        for each in causes(error):
            if isinstance(each, kind):
                return first_line(each.__cause__ or each)
    return first_line(error.__cause__ or error)

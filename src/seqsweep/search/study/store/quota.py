"""How many trials of a study may run: counted in the store, in the transaction that begins one.

Several workers that each count first and begin then would overshoot by what is in flight.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import sqlalchemy
from optuna.storages._rdb import models
from optuna.trial import TrialState

from seqsweep.search.study.store.base import AllTakenError
from seqsweep.search.workers.stops import RETRY_OF


@dataclass(frozen=True)
class Places:
    """The places that a study has given away.

    Attributes:
        taken: how many trials have begun; one that is tried again has given its place away.
        kept: how many wait to try one again.
    """

    taken: int
    kept: int

    def heed(self, total: int) -> None:
        """Looks whether a new trial may begin.

        Raises:
            AllTakenError: none may.
        """
        if self.taken + self.kept >= total:
            raise AllTakenError

    def heed_of_waiting(self, total: int, *, is_retry: Callable[[], bool]) -> bool:
        """Says whether a trial that waits may begin, or leaves room for others.

        Others are those that try a trial again: they have its place.

        Raises:
            AllTakenError: none may.
        """
        if self.taken >= total:
            raise AllTakenError
        return self.taken + self.kept < total or is_retry()


def heed(connection: Any, study_id: int, total: int) -> None:
    """Looks whether a new trial may begin; the caller holds the lock of the study's row.

    Args:
        connection: one of SQLAlchemy's, or a session.
        study_id: the store's number of the study.
        total: how many trials are to end.

    Raises:
        AllTakenError: none may.
    """
    Places(_taken(connection, study_id), _kept(connection, study_id)).heed(total)


def begin_waiting(
    connection: sqlalchemy.Connection, study_id: int, trial_id: int, total: int
) -> bool:
    """Lets a trial that waits run; gives False where it waits no more, or leaves room for others.

    Raises:
        AllTakenError: none may.
    """
    trials, studies = models.TrialModel, models.StudyModel
    of_study = sqlalchemy.select(studies.study_id).where(studies.study_id == study_id)
    connection.execute(of_study.with_for_update())  # first: MySQL reads what stood at its first one
    places = Places(_taken(connection, study_id), _kept(connection, study_id))
    if not places.heed_of_waiting(
        total, is_retry=lambda: _kept(connection, study_id, trial_id) > 0
    ):
        return False
    now = datetime.now(timezone.utc).replace(tzinfo=None)  # as Optuna keeps times
    begun = (
        sqlalchemy.update(trials)
        .where(trials.trial_id == trial_id, trials.state == TrialState.WAITING)
        .values(state=TrialState.RUNNING, datetime_start=now)
    )
    return connection.execute(begun).rowcount == 1


def _taken(connection: Any, study_id: int) -> int:
    """Counts what has begun; a trial that is tried again has given its place away."""
    trials, attributes = models.TrialModel, models.TrialUserAttributeModel
    begun = sqlalchemy.select(sqlalchemy.func.count()).where(
        trials.study_id == study_id, trials.state != TrialState.WAITING
    )
    retried = _of_retries(sqlalchemy.func.count(attributes.value_json.distinct()), study_id)
    return connection.execute(begun).scalar() - connection.execute(retried).scalar()


def _kept(connection: Any, study_id: int, trial_id: int | None = None) -> int:
    """Counts the trials that wait to try one again: all, or whether this is one."""
    trials = models.TrialModel
    waiting = _of_retries(sqlalchemy.func.count(), study_id).where(
        trials.state == TrialState.WAITING
    )
    if trial_id is not None:
        waiting = waiting.where(trials.trial_id == trial_id)
    return connection.execute(waiting).scalar()


def _of_retries(what: Any, study_id: int) -> sqlalchemy.Select:
    trials, attributes = models.TrialModel, models.TrialUserAttributeModel
    return (
        sqlalchemy.select(what)
        .select_from(attributes)
        .join(trials, trials.trial_id == attributes.trial_id)
        .where(trials.study_id == study_id, attributes.key == RETRY_OF)
    )

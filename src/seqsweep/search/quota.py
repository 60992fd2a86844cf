"""How many trials of a study may run: counted in the store, in the transaction that begins one.

Several workers that each count first and begin then would overshoot by what is in flight.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import sqlalchemy
from optuna.storages._rdb import models
from optuna.trial import TrialState

from seqsweep.search.stops import RETRY_OF


class AllTakenError(Exception):
    """As many trials run, or have ended, as the sweep is to have."""


def heed(connection: Any, study_id: int, total: int) -> None:
    """Looks whether another trial may begin; the caller holds the lock of the study's row.

    A trial that was tried again does not count, the one that tries it again does.

    Args:
        connection: one of SQLAlchemy's, or a session.
        study_id: the store's number of the study.
        total: how many trials are to end.

    Raises:
        AllTakenError: none may.
    """
    trials, attributes = models.TrialModel, models.TrialUserAttributeModel
    begun = sqlalchemy.select(sqlalchemy.func.count()).where(
        trials.study_id == study_id, trials.state != TrialState.WAITING
    )
    retried = (
        sqlalchemy.select(sqlalchemy.func.count(attributes.value_json.distinct()))
        .join(trials, trials.trial_id == attributes.trial_id)
        .where(trials.study_id == study_id, attributes.key == RETRY_OF)
    )
    if connection.execute(begun).scalar() - connection.execute(retried).scalar() >= total:
        raise AllTakenError


def begin_waiting(connection: sqlalchemy.Connection, trial_id: int, total: int) -> bool:
    """Lets a trial that waits run; gives False where it waits no more.

    Raises:
        AllTakenError: none may.
    """
    trials, studies = models.TrialModel, models.StudyModel
    this = trials.trial_id == trial_id
    study_id = connection.execute(sqlalchemy.select(trials.study_id).where(this)).scalar()
    of_study = sqlalchemy.select(studies.study_id).where(studies.study_id == study_id)
    connection.execute(of_study.with_for_update())
    heed(connection, study_id, total)
    now = datetime.now(timezone.utc).replace(tzinfo=None)  # as Optuna keeps times
    begun = (
        sqlalchemy.update(trials)
        .where(this, trials.state == TrialState.WAITING)
        .values(state=TrialState.RUNNING, datetime_start=now)
    )
    return connection.execute(begun).rowcount == 1

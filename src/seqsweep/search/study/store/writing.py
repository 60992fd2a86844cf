"""What each trial writes, as plain statements that are made once: a third of what Optuna takes.

Each runs in a transaction of the caller's.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy import Connection, bindparam

_TRIALS = models.TrialModel.__table__
_BEATS = models.TrialHeartbeatModel.__table__

_BEAT = (
    sqlalchemy.update(_BEATS)
    .where(_BEATS.c.trial_id == bindparam("of"))
    .values(heartbeat=sqlalchemy.func.now())
)
_FIRST_BEAT = sqlalchemy.insert(_BEATS)


def beat(connection: Connection, trial_id: int) -> None:
    """Writes that the trial's worker is heard of now."""
    if connection.execute(_BEAT, {"of": trial_id}).rowcount == 0:
        connection.execute(_FIRST_BEAT, {"trial_id": trial_id})


class Rows:
    """The rows of one kind: a trial has one at most for each value of the column `key`."""

    def __init__(self, model: Any, key: str) -> None:
        table = model.__table__
        place = (table.c.trial_id == bindparam("of"), table.c[key] == bindparam("called"))
        self._key = key
        self._look = sqlalchemy.select(_TRIALS.c.state, sqlalchemy.exists().where(*place)).where(
            _TRIALS.c.trial_id == bindparam("of")
        )
        self._add = sqlalchemy.insert(table)
        self._change = sqlalchemy.update(table).where(*place)

    def look(self, connection: Connection, trial_id: int, key: Any) -> tuple[TrialState, bool]:
        """Gives the trial's state, and whether it has that row.

        Raises:
            KeyError: there is no such trial.
        """
        found = connection.execute(self._look, {"of": trial_id, "called": key}).first()
        if found is None:
            raise KeyError(f"no trial has the id {trial_id}")
        return found.state, found[1]

    def add(self, connection: Connection, trial_id: int, key: Any, **values: Any) -> None:
        """Writes a row that is not there."""
        connection.execute(self._add, {"trial_id": trial_id, self._key: key, **values})

    def change(self, connection: Connection, trial_id: int, key: Any, **values: Any) -> None:
        """Writes a row that is there."""
        connection.execute(self._change, {"of": trial_id, "called": key, **values})


PARAMS = Rows(models.TrialParamModel, "param_name")
ATTRIBUTES = Rows(models.TrialUserAttributeModel, "key")
REPORTS = Rows(models.TrialIntermediateValueModel, "step")

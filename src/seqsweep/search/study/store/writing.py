"""What each trial writes, as plain statements that are made once: half of what Optuna's own take.

Each runs in a transaction of the caller's.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy import bindparam

_TRIALS = models.TrialModel.__table__
_BEATS = models.TrialHeartbeatModel.__table__
_PARAMS = models.TrialParamModel.__table__
_ATTRIBUTES = models.TrialUserAttributeModel.__table__

_STATE = sqlalchemy.select(_TRIALS.c.state).where(_TRIALS.c.trial_id == bindparam("of"))
_BEAT = (
    sqlalchemy.update(_BEATS)
    .where(_BEATS.c.trial_id == bindparam("of"))
    .values(heartbeat=sqlalchemy.func.now())
)
_FIRST_BEAT = sqlalchemy.insert(_BEATS)
_PARAM = sqlalchemy.insert(_PARAMS)
_ATTRIBUTE = (
    sqlalchemy.update(_ATTRIBUTES)
    .where(_ATTRIBUTES.c.trial_id == bindparam("of"), _ATTRIBUTES.c.key == bindparam("called"))
    .values(value_json=bindparam("text"))
)
_NEW_ATTRIBUTE = sqlalchemy.insert(_ATTRIBUTES)


def state(connection: sqlalchemy.Connection, trial_id: int) -> TrialState:
    """Reads the state of a trial.

    Raises:
        KeyError: there is none of that id.
    """
    found = connection.execute(_STATE, {"of": trial_id}).scalar()
    if found is None:
        raise KeyError(f"no trial has the id {trial_id}")
    return found


def beat(connection: sqlalchemy.Connection, trial_id: int) -> None:
    """Writes that the trial's worker is heard of now."""
    if connection.execute(_BEAT, {"of": trial_id}).rowcount == 0:
        connection.execute(_FIRST_BEAT, {"trial_id": trial_id})


def add_param(
    connection: sqlalchemy.Connection,
    trial_id: int,
    name: str,
    value: float,
    distribution: BaseDistribution,
) -> None:
    """Writes a parameter's value, as Optuna keeps it.

    Raises:
        IntegrityError: the trial has one.
    """
    connection.execute(
        _PARAM,
        {
            "trial_id": trial_id,
            "param_name": name,
            "param_value": value,
            "distribution_json": distribution_to_json(distribution),
        },
    )


def set_attribute(connection: sqlalchemy.Connection, trial_id: int, key: str, value: Any) -> None:
    """Sets a user attribute of a trial."""
    text = json.dumps(value)
    known = {"of": trial_id, "called": key, "text": text}
    if connection.execute(_ATTRIBUTE, known).rowcount == 0:
        connection.execute(_NEW_ATTRIBUTE, {"trial_id": trial_id, "key": key, "value_json": text})

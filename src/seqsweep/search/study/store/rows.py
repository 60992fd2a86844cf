"""The rows that trials are made of, read as of one moment and without SQLAlchemy's objects."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import sqlalchemy
from optuna.storages._rdb import models
from sqlalchemy import Connection, Engine, Select, bindparam, func
from sqlalchemy.dialects.postgresql import aggregate_order_by

READS = {"seqsweep_reads": True}  # an option of SQLAlchemy's: the transaction will not write
SNAPSHOT = {"isolation_level": "REPEATABLE READ"}  # all rows of a trial as of one moment
AT_ONCE = {"isolation_level": "AUTOCOMMIT"}  # one statement, which begins and ends no transaction

TRIALS = models.TrialModel.__table__
# The rows that make up a trial, by the names that Optuna's model has for them.
PARTS = {
    "params": models.TrialParamModel.__table__,
    "values": models.TrialValueModel.__table__,
    "user_attributes": models.TrialUserAttributeModel.__table__,
    "system_attributes": models.TrialSystemAttributeModel.__table__,
    "intermediate_values": models.TrialIntermediateValueModel.__table__,
}
# What is written as text in JSON, where -0.0 would be 0 and a member of an enumeration is its name;
# by the part's name.
READ_AS = {
    name: {
        column.name: column.type.enum_class.__getitem__
        if isinstance(column.type, sqlalchemy.Enum)
        else float
        for column in table.c
        if isinstance(column.type, sqlalchemy.Enum | sqlalchemy.Float)
    }
    for name, table in PARTS.items()
}


@dataclass(frozen=True)
class Selects:
    """Statements that read some trials, made once: to make them takes half the time.

    Attributes:
        trials: reads their own rows.
        parts: read what else they have, each by its name.
        whole: reads all that, the parts as JSON; for PostgreSQL.
    """

    trials: Select
    parts: dict[str, Select]
    whole: Select

    @classmethod
    def where(cls, *conditions: sqlalchemy.ColumnElement[bool]) -> Selects:
        """Makes them for the trials of which the conditions are true."""
        parts = {
            name: sqlalchemy.select(part).select_from(part.join(TRIALS)).where(*conditions)
            for name, part in PARTS.items()
        }
        columns = [*TRIALS.c, *(_as_json(part).label(name) for name, part in PARTS.items())]
        chosen = (
            sqlalchemy.select(*what).where(*conditions).order_by(TRIALS.c.trial_id)
            for what in (TRIALS.c, columns)
        )
        return cls(next(chosen), parts, next(chosen))


def _as_json(part: sqlalchemy.Table) -> sqlalchemy.ScalarSelect:
    """Gives a trial's rows of one kind as one value; null where it has none."""
    pairs: list[Any] = []
    for column in part.c:
        is_float = isinstance(column.type, sqlalchemy.Float)
        pairs += [
            sqlalchemy.literal_column(f"'{column.name}'"),
            column.cast(sqlalchemy.Text) if is_float else column,
        ]
    rows = func.json_agg(
        aggregate_order_by(func.json_build_object(*pairs), *part.primary_key), type_=sqlalchemy.JSON
    )
    return sqlalchemy.select(rows).where(part.c.trial_id == TRIALS.c.trial_id).scalar_subquery()


ONE = Selects.where(TRIALS.c.trial_id == bindparam("trial_id"))
SOME = Selects.where(
    TRIALS.c.study_id == bindparam("study_id"),
    sqlalchemy.or_(
        TRIALS.c.trial_id > bindparam("after"),
        TRIALS.c.trial_id.in_(bindparam("among", expanding=True)),
    ),
)


def read(engine: Engine, selects: Selects, values: Mapping[str, Any]) -> list[SimpleNamespace]:
    """Gives the trials in order, each with the fields of Optuna's model."""
    if engine.name == "postgresql":  # one round trip, not eight
        with engine.connect().execution_options(**AT_ONCE) as connection:
            return [_whole(row._mapping) for row in connection.execute(selects.whole, values)]
    options = READS if engine.name == "sqlite" else SNAPSHOT
    with engine.connect().execution_options(**options) as connection:
        return _in_parts(connection, selects, values)


def _whole(row: Mapping[str, Any]) -> SimpleNamespace:
    parts = {}
    for name in PARTS:
        found = [SimpleNamespace(**each) for each in row[name] or ()]
        for column, read_as in READ_AS[name].items():
            for each in found:
                if (value := getattr(each, column)) is not None:
                    setattr(each, column, read_as(value))
        parts[name] = found
    return SimpleNamespace(**{**row, **parts})


def _in_parts(
    connection: Connection, selects: Selects, values: Mapping[str, Any]
) -> list[SimpleNamespace]:
    trials = connection.execute(selects.trials, values).all()
    if not trials:
        return []
    parts = {n: _by_trial(connection.execute(s, values)) for n, s in selects.parts.items()}
    return [
        SimpleNamespace(**row._mapping, **{n: part[row.trial_id] for n, part in parts.items()})
        for row in trials
    ]


def _by_trial(rows: Iterable[sqlalchemy.Row]) -> dict[int, list[sqlalchemy.Row]]:
    found = collections.defaultdict(list)
    for row in rows:
        found[row.trial_id].append(row)
    return found

"""A database that holds studies: how trials are read, and what it knows of who is alive."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Container, Sequence
from datetime import datetime, timezone
from typing import Any

import sqlalchemy
from optuna.distributions import (
    BaseDistribution,
    check_distribution_compatibility,
    distribution_to_json,
)
from optuna.exceptions import ExperimentalWarning
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import IntegrityError

from seqsweep.search.study.store import once, quota, rows, writing
from seqsweep.search.study.store.base import OnLost, Store

TIMES = ("datetime_start", "datetime_complete")


class Database(Store, RDBStorage):
    """A store in a database, see `seqsweep.search.study.store.quota` for how it counts."""

    def __init__(
        self,
        url: str,
        *,
        grace_period: int,
        on_lost: OnLost | None = None,
        total: int | None = None,
        engine_kwargs: dict[str, Any] | None = None,
        makes_tables: bool = True,
    ) -> None:
        Store.__init__(self, grace_period=grace_period, on_lost=on_lost, total=total)
        braces = url.replace("{", "{{").replace("}", "}}")  # Optuna formats its URL
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # of the heartbeat
            RDBStorage.__init__(
                self,
                braces,
                engine_kwargs=engine_kwargs,
                heartbeat_interval=self.get_heartbeat_interval(),
                grace_period=grace_period,
                skip_table_creation=not makes_tables,
            )

    def within(self, total: int) -> Database:
        """Gives this store for a sweep of so many trials; what is open they share."""
        store = object.__new__(type(self))
        store.__dict__ = {**self.__dict__, "total": total}
        return store

    def close(self) -> None:
        """Closes what is open; with the last connection SQLite takes its write-ahead log in."""
        self.engine.dispose()

    def beat(self, trial_id: int) -> None:
        """Says that the trial's worker is alive."""
        with self.engine.begin() as connection:
            writing.beat(connection, trial_id)

    def silences(self, study_id: int) -> dict[int, float | None]:
        """Gives the seconds since the last beat of each trial that runs, None where it has none."""
        trials, beats = models.TrialModel, models.TrialHeartbeatModel
        running = (
            sqlalchemy.select(trials.trial_id, beats.heartbeat)
            .outerjoin(beats, beats.trial_id == trials.trial_id)
            .where(trials.study_id == study_id, trials.state == TrialState.RUNNING)
        )
        with self.engine.connect().execution_options(**rows.READS) as connection:
            now = _now(connection)
            found = connection.execute(running).all()
        return {i: None if last is None else (now - last).total_seconds() for i, last in found}

    def _get_prepared_new_trial(
        self, study_id: int, template_trial: FrozenTrial | None, session: Any
    ) -> models.TrialModel:
        """Makes a trial; one that is to wait has a template, and always has room."""
        if template_trial is not None:
            if (made := once.find_made(session, study_id, template_trial)) is not None:
                return made
        elif self.total is not None:
            quota.heed(session, study_id, self.total)
        return super()._get_prepared_new_trial(study_id, template_trial, session)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Sets a trial's state; of several that would begin one that waits, one does."""
        if state is not TrialState.RUNNING or self.total is None:
            return super().set_trial_state_values(trial_id, state, values)
        study_id = self._study_of(trial_id)
        with self.engine.begin() as connection:
            return quota.begin_waiting(connection, study_id, trial_id, self.total)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Sets an attribute of a trial that has not ended."""
        self._put(writing.ATTRIBUTES, trial_id, key, value_json=json.dumps(value))

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        """Sets what a trial that has not ended reports at a step."""
        model = models.TrialIntermediateValueModel
        value, kind = model.intermediate_value_to_stored_repr(intermediate_value)
        values = {"intermediate_value": value, "intermediate_value_type": kind}
        self._put(writing.REPORTS, trial_id, step, **values)

    def _set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
        previous_distribution: BaseDistribution | None,
    ) -> None:
        """Sets a parameter; what an earlier trial had of its name is known but for the first."""
        if previous_distribution is None:
            given = (trial_id, param_name, param_value_internal, distribution, None)
            return super()._set_trial_param(*given)
        check_distribution_compatibility(previous_distribution, distribution)
        text = distribution_to_json(distribution)
        values = {"param_value": param_value_internal, "distribution_json": text}
        self._put(writing.PARAMS, trial_id, param_name, changes=False, **values)

    def _put(
        self, rows: writing.Rows, trial_id: int, key: Any, *, changes: bool = True, **values: Any
    ) -> None:
        """Writes one of a trial's rows; what is there stays where it is not to be changed."""
        with contextlib.suppress(IntegrityError), self.engine.begin() as connection:
            state, is_there = rows.look(connection, trial_id, key)
            self.check_trial_is_updatable(trial_id, state)
            if not is_there:
                rows.add(connection, trial_id, key, **values)
            elif changes:
                rows.change(connection, trial_id, key, **values)

    def _study_of(self, trial_id: int) -> int:
        trial = models.TrialModel
        wanted = sqlalchemy.select(trial.study_id).where(trial.trial_id == trial_id)
        with self.engine.connect().execution_options(**rows.READS) as connection:
            return connection.execute(wanted).scalar()

    def holds(self, study_id: int, trial: FrozenTrial) -> bool:
        """Says whether the trial is still there, and not another to which SQLite gave its id."""
        trials = rows.TRIALS.c
        wanted = sqlalchemy.select(trials.datetime_start).where(
            trials.trial_id == trial._trial_id, trials.study_id == study_id
        )
        with self.engine.connect().execution_options(**rows.READS) as connection:
            found = connection.execute(wanted).first()
        return found is not None and trial.datetime_start in (None, _local(found[0]))

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Gives the trial.

        Raises:
            KeyError: there is none of that id.
        """
        found = self._read(rows.ONE, trial_id=trial_id)
        if not found:
            raise KeyError(f"no trial has the id {trial_id}")
        return found[0]

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        """Gives the trials of the study whose ids are among those, or greater."""
        among = [i for i in included_trial_ids if i <= trial_id_greater_than]
        found = self._read(rows.SOME, study_id=study_id, after=trial_id_greater_than, among=among)
        return [trial for trial in found if states is None or trial.state in states]

    def _read(self, selects: rows.Selects, **values: Any) -> list[FrozenTrial]:
        """Reads trials, in order, in a third of the time that Optuna takes."""
        found = rows.read(self.engine, selects, values)
        for trial in found:
            for name in TIMES:
                setattr(trial, name, _local(getattr(trial, name)))
        return [self._build_frozen_trial_from_trial_model(trial) for trial in found]

    def now(self) -> datetime:
        """Gives the time by the store's clock, which all hosts share."""
        with self.engine.connect() as connection:
            return _now(connection)

    def silence_s(self, study_id: int, since: datetime) -> float:
        """Gives the seconds since the last beat of any trial of the study, or since `since`."""
        beats, trials = models.TrialHeartbeatModel, models.TrialModel
        last = (
            sqlalchemy.select(sqlalchemy.func.max(beats.heartbeat))
            .join(trials, trials.trial_id == beats.trial_id)
            .where(trials.study_id == study_id)
        )
        with self.engine.connect() as connection:
            heard = max(connection.execute(last).scalar() or since, since)
            return (_now(connection) - heard).total_seconds()

    def swap(self, study_id: int, key: str, old: Any, new: Any) -> bool:
        """Sets an attribute of the study where it is `old`; says whether it was.

        Of two programs that do this at once, one does. An attribute that is not there is None.
        """
        table = models.StudyUserAttributeModel
        place = (table.study_id == study_id, table.key == key)
        with self.engine.begin() as connection:
            is_there = connection.execute(sqlalchemy.select(table.key).where(*place)).first()
            if is_there is None and old is None:
                values = {"study_id": study_id, "key": key, "value_json": json.dumps(new)}
                with contextlib.suppress(IntegrityError):  # another was faster
                    connection.execute(sqlalchemy.insert(table).values(values))
                    return True
                return False
            swapped = (
                sqlalchemy.update(table)
                .where(*place, table.value_json == json.dumps(old))
                .values(value_json=json.dumps(new))
            )
            return connection.execute(swapped).rowcount == 1


def _local(utc: datetime | None) -> datetime | None:
    """Gives a time of the store, which keeps UTC, by this machine's clock, as Optuna does."""
    return utc and utc.replace(tzinfo=timezone.utc).astimezone().replace(tzinfo=None)


def _now(connection: sqlalchemy.Connection) -> datetime:
    now = connection.execute(sqlalchemy.select(sqlalchemy.func.now())).scalar()
    return now.replace(tzinfo=None)

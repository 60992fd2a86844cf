"""Reads what an MLflow store holds; writes nothing, neither in it nor a store that is missing.

MLflow's own client would make the tables of an SQLite file and a folder for its artifacts.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import sqlalchemy
from alembic.script import ScriptDirectory
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.store.db.utils import _get_alembic_config
from mlflow.store.tracking.dbmodels.models import SqlLoggedModel, SqlRun, SqlTag
from sqlalchemy.orm import Session

from seqsweep.errors import TrackingError
from seqsweep.stores import file_of_runs, read_only, reading_options, sqlite_url
from seqsweep.tracking.base import KEY
from seqsweep.tracking.failures import told_of

# A person waits: MLflow's own 7 tries of up to 120 s would take minutes.
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}


@dataclass(frozen=True)
class RunRow:
    """A run as it is in the store; of its metrics the last values."""

    id: str
    name: str
    status: str
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]
    began: datetime | None
    ended: datetime | None
    model_id: str | None


def read_run(uri: str, *, run_id: str | None = None, key: str | None = None) -> RunRow | None:
    """Gives the run of MLflow's id, or else of our key; None where the store has none.

    Raises:
        TrackingError: there is no store, or it cannot be read.
    """
    with told_of(uri):
        file = file_of_runs(uri)
        if file is not None:
            return _from_file(file, run_id, key)
        return _from_server(uri, run_id, key)


def _from_file(file: Path, run_id: str | None, key: str | None) -> RunRow | None:
    with _session(file) as session:
        if run_id is None:
            tagged = sqlalchemy.select(SqlTag.run_uuid).where(
                SqlTag.key == KEY, SqlTag.value == key
            )
            run_id = session.scalars(tagged).first()
        found = session.get(SqlRun, run_id) if run_id else None
        if found is None:
            return None
        models = sqlalchemy.select(SqlLoggedModel.model_id).where(
            SqlLoggedModel.source_run_id == run_id
        )
        return _row(found.to_mlflow_entity(), session.scalars(models).first())


@contextlib.contextmanager
def _session(file: Path) -> Iterator[Session]:
    if not file.is_file():
        raise TrackingError(
            f"there is no MLflow store at {file}: the first run makes it; or name another, as "
            "--tracking-uri=ADDRESS"
        )
    engine = sqlalchemy.create_engine("sqlite://", **reading_options(file))
    try:
        with Session(engine) as session:
            yield session
    finally:
        engine.dispose()


def _from_server(uri: str, run_id: str | None, key: str | None) -> RunRow | None:
    if "://" not in uri and uri != "databricks":
        raise TrackingError(
            f"{uri} is no MLflow store that can be read: it is neither an SQLite file nor an "
            "address; sqlite:///FILE and http://HOST:PORT are accepted"
        )
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    client = MlflowClient(tracking_uri=uri)
    experiments = [each.experiment_id for each in client.search_experiments()]
    run = _asked(client, experiments, run_id, key)
    if run is None:
        return None
    models = client.search_logged_models(
        [run.info.experiment_id], filter_string=f"source_run_id = '{run.info.run_id}'"
    )
    return _row(run, models[0].model_id if models else None)


def _asked(
    client: MlflowClient, experiments: list[str], run_id: str | None, key: str | None
) -> Run | None:
    if run_id is None:
        return next(iter(client.search_runs(experiments, f"tags.`{KEY}` = '{key}'")), None)
    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def _row(run: Run, model_id: str | None) -> RunRow:
    return RunRow(
        id=run.info.run_id,
        name=run.info.run_name,
        status=str(run.info.status),
        params=dict(run.data.params),
        metrics=dict(run.data.metrics),
        tags=dict(run.data.tags),
        began=_time(run.info.start_time),
        ended=_time(run.info.end_time),
        model_id=model_id,
    )


def _time(milliseconds: Any) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000) if milliseconds else None


@dataclass(frozen=True)
class Schema:
    """Which tables an SQLite store has, by alembic's names, and which this MLflow needs.

    Attributes:
        found: the store's revision, None where it has no tables of MLflow's.
        wanted: the installed MLflow's.
        is_known: whether the installed MLflow can bring the store to it.
    """

    found: str | None
    wanted: str
    is_known: bool


def schema_of(file: Path) -> Schema:
    """Gives the schema of an SQLite store of MLflow's.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    with contextlib.closing(read_only(file)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        row = None
        if "alembic_version" in tables:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    script = ScriptDirectory.from_config(_get_alembic_config(db_url=""))
    found = row[0] if row else None
    known = {each.revision for each in script.walk_revisions()}
    return Schema(found, script.get_current_head(), found in known)


def how_to_upgrade(file: Path) -> str:
    """Gives the command that brings a store's tables to the installed MLflow's."""
    return f"mlflow db upgrade {shlex.quote(sqlite_url(file))}"

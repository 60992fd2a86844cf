"""Tracking by MLflow's client: states are set by us, never by a context manager or an environment.

`with mlflow.start_run()` would record a pruned trial as FAILED, and its global state is not made
for several runs at a time.
"""

from __future__ import annotations

import contextlib
import functools
import getpass
import logging
import os
import re
import shlex
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# MLflow opens a second connection within a transaction; with its limit of 15 as many slots wait for
# each other until they fail.
os.environ.setdefault("MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW", "-1")

from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.utils import mlflow_tags

from seqsweep.config import TrackingConfig
from seqsweep.errors import TrackingError, UserError, first_line, reason
from seqsweep.outcome import Completed, Failed, Outcome, Pruned
from seqsweep.process.messages import Point
from seqsweep.process.result import storable
from seqsweep.stores import make_whole, sqlite_url
from seqsweep.tracking.base import Run, RunRecord, Tracking

# MLflow's own limits for one call of log_batch.
MOST_METRICS = 1000
MOST_PARAMS = 100

T = TypeVar("T")


@contextmanager
def _told_of(uri: str) -> Iterator[None]:
    """Turns what a store raises, SQLAlchemy's errors, requests' or MLflow's, into one sentence."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        why = first_line(error)
        raise TrackingError(f"the MLflow store {without_password(uri)} fails: {why}") from error


def _told_of_store(method: Callable[..., T]) -> Callable[..., T]:
    """Does so for what a method of a run does with its store."""

    @functools.wraps(method)
    def told(self: MlflowRun, *arguments: Any, **named: Any) -> T:
        with _told_of(self._uri):
            return method(self, *arguments, **named)

    return told


class MlflowRun(Run):
    """A run and the client that writes it."""

    def __init__(self, client: MlflowClient, uri: str, run_id: str, experiment_id: str) -> None:
        self.id = run_id
        self._uri = uri
        self._client = client
        self._experiment_id = experiment_id

    @_told_of_store
    def log(self, points: Iterable[Point]) -> None:
        """Adds points to curves, in batches."""
        self._log([Metric(p.name, p.value, p.time_ms, p.step) for p in points])

    @_told_of_store
    def tag(self, tags: Mapping[str, str]) -> None:
        """Sets tags."""
        self._client.log_batch(self.id, tags=[RunTag(k, storable(v)) for k, v in tags.items()])

    @_told_of_store
    def add_file(self, path: Path) -> None:
        """Keeps a copy of the file `path`."""
        self._client.log_artifact(self.id, str(path))

    @_told_of_store
    def add_text(self, text: str, file_name: str) -> None:
        """Keeps `text` as a file of that name."""
        self._client.log_text(self.id, storable(text), file_name)

    @_told_of_store
    def add_model(self, folder: Path, results: Iterable[Point]) -> str:
        """Keeps the MLflow model in `folder` as a logged model of this run.

        This is what `mlflow.tensorflow.log_model` does after it has saved the model. The trial's
        process did the saving, so that TensorFlow is not needed here.
        """
        model = self._client.create_logged_model(
            self._experiment_id, name="model", source_run_id=self.id
        )
        description = Model.load(str(folder))
        description.run_id = self.id
        description.model_id = description.model_uuid = model.model_id
        description.artifact_path = model.artifact_location
        description.save(str(folder / "MLmodel"))
        self._client.log_model_artifacts(model.model_id, str(folder))
        self._client.finalize_logged_model(model.model_id, "READY")
        self._client.log_outputs(self.id, [LoggedModelOutput(model.model_id, step=0)])
        self._log(
            [
                Metric(p.name, p.value, p.time_ms, p.step, model_id=model.model_id, run_id=self.id)
                for p in results
            ]
        )
        return model.model_id

    @_told_of_store
    def end(self, outcome: Outcome) -> None:
        """Closes the run: FINISHED, KILLED where it was pruned, FAILED with its reason."""
        match outcome:
            case Completed():
                status, tags = "FINISHED", {"seqsweep.outcome": "completed"}
            case Pruned(step):
                status = "KILLED"
                tags = {"seqsweep.outcome": "pruned", "seqsweep.pruned_at": str(step)}
            case Failed(why):
                status, tags = "FAILED", {"seqsweep.outcome": "failed", "seqsweep.reason": why}
        try:
            self.tag(tags)
            if isinstance(outcome, Failed) and outcome.traceback:
                self.add_text(outcome.traceback, "traceback.txt")
        except Exception:
            status = "FAILED"  # as the trial will be, whose record is not whole
            raise
        finally:
            self._client.set_terminated(self.id, status)

    def _log(self, metrics: list[Metric]) -> None:
        for start in range(0, len(metrics), MOST_METRICS):
            self._client.log_batch(self.id, metrics=metrics[start : start + MOST_METRICS])


class MlflowTracking(Tracking):
    """One experiment of an MLflow store."""

    def __init__(self, client: MlflowClient, experiment_id: str, uri: str, folder: Path) -> None:
        self._client = client
        self._experiment_id = experiment_id
        self._uri = uri
        self._folder = folder

    @classmethod
    def open(cls, config: TrackingConfig) -> MlflowTracking:
        """Opens the store and its experiment; creates both where they do not exist.

        Raises:
            TrackingError: the store cannot be opened.
        """
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        # It logs the traceback of what it raises, which is told once
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
        folder = Path(config.dir).expanduser().resolve()
        uri = config.uri or os.environ.get("MLFLOW_TRACKING_URI") or _local(folder)
        is_local = uri == _local(folder)
        artifacts = (folder / "mlruns" / "artifacts").as_uri() if is_local else None
        with _told_of(uri):
            if is_local:
                make_whole(folder / "mlflow.db", _build_store)
            client = MlflowClient(tracking_uri=uri)
            experiment_id = _experiment(client, config.experiment, artifacts)
        return cls(client, experiment_id, uri, folder)

    def start(self, record: RunRecord) -> MlflowRun:
        """Opens a run with its params and tags.

        Raises:
            TrackingError: the store cannot be written.
        """
        tags = {
            mlflow_tags.MLFLOW_USER: getpass.getuser(),
            mlflow_tags.MLFLOW_SOURCE_NAME: sys.argv[0],
            mlflow_tags.MLFLOW_SOURCE_TYPE: "LOCAL",
            **record.tags,
        }
        if record.parent is not None:
            tags[mlflow_tags.MLFLOW_PARENT_RUN_ID] = record.parent
        with _told_of(self._uri):
            info = self._client.create_run(
                self._experiment_id, tags=tags, run_name=record.name
            ).info
            run = self.run(info.run_id)
            try:
                self._log_params(run.id, record.params)
            except BaseException as error:
                run.end(Failed(reason(error)))
                raise
        return run

    def run(self, run_id: str) -> MlflowRun:
        """Gives the run of that id, ended or not."""
        return MlflowRun(self._client, self._uri, run_id, self._experiment_id)

    def reopen(self, run_id: str) -> MlflowRun | None:
        """Gives an ended run as one that goes on; None where the store has none of that id."""
        with _told_of(self._uri):
            try:
                tags = self._client.get_run(run_id).data.tags
            except MlflowException:
                return None
            self._client.update_run(run_id, status="RUNNING")
            for tag in ("seqsweep.outcome", "seqsweep.reason", "seqsweep.ended_by"):
                if tag in tags:
                    self._client.delete_tag(run_id, tag)
        return self.run(run_id)

    def running(self, study: str) -> list[Run]:
        """Gives the runs of a study's trials that have not ended."""
        wanted = (
            f"tags.`seqsweep.study` = '{study}' and tags.`seqsweep.kind` != 'sweep' "
            "and attributes.status = 'RUNNING'"
        )
        with _told_of(self._uri):
            runs = self._client.search_runs([self._experiment_id], wanted)
        return [self.run(run.info.run_id) for run in runs]

    def page(self) -> str:
        """Gives the address of the runs on the server, or where `mlflow ui` will serve them.

        Without the workflow type, MLflow 3 opens on its pages for language models.
        """
        server = (
            without_password(self._uri) if self._uri.startswith("http") else "http://127.0.0.1:5000"
        )
        return f"{server}/#/experiments/{self._experiment_id}?workflowType=machine_learning"

    def how_to_open(self) -> str | None:
        """Gives the command that serves the runs; None where a server does already."""
        if self._uri.startswith("http"):
            return None
        program = Path(sys.executable).with_name("mlflow")
        command = f"{shlex.quote(str(program)) if program.exists() else 'mlflow'} ui"
        if self._uri == _local(self._folder):
            return f"cd {shlex.quote(str(self._folder))} && {command}"
        return f"{command} --backend-store-uri {shlex.quote(without_password(self._uri))}"

    def _log_params(self, run_id: str, values: Mapping[str, str]) -> None:
        params = [Param(_key(key), storable(value)) for key, value in values.items()]
        for start in range(0, len(params), MOST_PARAMS):
            self._client.log_batch(run_id, params=params[start : start + MOST_PARAMS])


def without_password(uri: str) -> str:
    """Gives an address as anybody may read it."""
    return re.sub(r"//([^:/@]*):[^@/]*@", r"//\1:***@", uri)


def _local(folder: Path) -> str:
    """Gives the store that a plain `mlflow ui` opens in `folder`."""
    return sqlite_url(folder / "mlflow.db")


def _build_store(path: Path) -> None:
    """Makes a store with a write-ahead log, which the file keeps: docs/performance.md."""
    MlflowClient(tracking_uri=sqlite_url(path)).search_experiments()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def _experiment(client: MlflowClient, name: str, artifacts: str | None) -> str:
    """Gives the id of the experiment; creates it with an absolute place for its artifacts.

    Without one, a process that changes its folder would make a store of its own.
    """
    if (found := client.get_experiment_by_name(name)) is not None:
        if found.lifecycle_stage == "deleted":
            raise TrackingError(
                f"tracking.experiment={name!r} is a deleted experiment of MLflow: restore it with "
                f"`mlflow experiments restore -x {found.experiment_id}` or choose another name"
            )
        return found.experiment_id
    try:
        return client.create_experiment(name, artifact_location=artifacts)
    except MlflowException:  # another sweep was faster
        if (found := client.get_experiment_by_name(name)) is None:
            raise
        return found.experiment_id


def _key(key: str) -> str:
    """Gives a param's name in the characters that MLflow takes."""
    return re.sub(r"[^\w\-.:/ ]", "_", key, flags=re.ASCII)

"""An experiment of an MLflow store, as this program finds or makes it."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import sqlite3
import sys
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from seqsweep.config import TrackingConfig
from seqsweep.errors import TrackingError
from seqsweep.secrets import masked
from seqsweep.stores import make_whole, sqlite_url
from seqsweep.tracking.failures import told_of

# A request that fails is repeated by the outbox, so MLflow's own 7 tries of up to 120 s are not
# wanted: while they last nobody knows that the server is away.
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}


@dataclass(frozen=True)
class Experiment:
    """An open one.

    Attributes:
        id: MLflow's own.
        uri: the store's address.
        folder: where the store lies if it is the local one.
    """

    client: MlflowClient
    id: str
    uri: str
    folder: Path

    @classmethod
    def open(cls, config: TrackingConfig) -> Experiment:
        """Opens the store and its experiment; creates both where they do not exist.

        Raises:
            TrackingError: the store cannot be opened.
        """
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        # It logs the traceback of what it raises, which is told once
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
        for name, value in PATIENCE.items():
            os.environ.setdefault(name, value)
        folder = Path(config.dir).expanduser().resolve()
        uri = config.uri or os.environ.get("MLFLOW_TRACKING_URI") or _local(folder)
        is_local = uri == _local(folder)
        artifacts = (folder / "mlruns" / "artifacts").as_uri() if is_local else None
        with told_of(uri):
            if is_local:
                make_whole(folder / "mlflow.db", _build_store)
            client = MlflowClient(tracking_uri=uri)
            experiment_id = _id_of(client, config.experiment, artifacts)
        return cls(client, experiment_id, uri, folder)

    @property
    def place(self) -> str:
        """Where the store is, without a password."""
        return f"the MLflow store {masked(self.uri)}"

    def search(self, wanted: str) -> list[Run]:
        """Gives all runs that a filter of MLflow's lets through."""
        found, page = [], None
        while page != "":
            runs = self.client.search_runs([self.id], wanted, page_token=page)
            found += runs
            page = runs.token or ""
        return found

    def page(self) -> str:
        """Gives the address of the runs on the server, or where `mlflow ui` will serve them.

        Without the workflow type, MLflow 3 opens on its pages for language models.
        """
        server = masked(self.uri) if self.uri.startswith("http") else "http://127.0.0.1:5000"
        return f"{server}/#/experiments/{self.id}?workflowType=machine_learning"

    def how_to_open(self) -> str | None:
        """Gives the command that serves the runs; None where a server does already."""
        if self.uri.startswith("http"):
            return None
        program = Path(sys.executable).with_name("mlflow")
        command = f"{shlex.quote(str(program)) if program.exists() else 'mlflow'} ui"
        if self.uri == _local(self.folder):
            return f"cd {shlex.quote(str(self.folder))} && {command}"
        return f"{command} --backend-store-uri {shlex.quote(masked(self.uri))}"


def _local(folder: Path) -> str:
    """Gives the store that a plain `mlflow ui` opens in `folder`."""
    return sqlite_url(folder / "mlflow.db")


def _build_store(path: Path) -> None:
    """Makes a store with a write-ahead log, which the file keeps: docs/performance.md."""
    MlflowClient(tracking_uri=sqlite_url(path)).search_experiments()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def _id_of(client: MlflowClient, name: str, artifacts: str | None) -> str:
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

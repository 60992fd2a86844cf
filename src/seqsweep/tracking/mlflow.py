"""MLflow's client, as a store that can be asked twice for the same thing.

`with mlflow.start_run()` would record a pruned trial as FAILED, and its global state is not made
for several runs at a time: states are set by us, never by a context manager or an environment.

A run is named by a key of ours, which a tag of it holds: the id that MLflow gives is known only
once MLflow has answered.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import logging
import os
import re
import shlex
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# It would print the server's address, with the password in it, at the end of each run, for which it
# reads the run once more.
os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.utils import mlflow_tags
from mlflow.utils.uri import add_databricks_profile_info_to_artifact_uri

from seqsweep.config import TrackingConfig
from seqsweep.errors import TrackingError
from seqsweep.evaluation import Evaluation
from seqsweep.folders import write_whole
from seqsweep.process.messages import DataInput
from seqsweep.secrets import masked
from seqsweep.stores import make_whole, sqlite_url
from seqsweep.tracking.base import KEY, SWEEP, TRIAL
from seqsweep.tracking.datasets import dataset_input
from seqsweep.tracking.failures import told_of
from seqsweep.tracking.journal import Entry
from seqsweep.tracking.registry import register

# MLflow's own limits for one call of log_batch; of all kinds together it takes 1000.
MOST_METRICS = 900
MOST_PARAMS = 100
BATCHED = ("log", "tag", "end")  # what several entries in a row may say to be sent together
STATES = {"completed": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
OF_THE_END = ("seqsweep.outcome", "seqsweep.reason", "seqsweep.ended_by")  # tags
# A request that fails is repeated by the outbox, so MLflow's own 7 tries of up to 120 s are not
# wanted: while they last nobody knows that the server is away.
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}


class MlflowStore:
    """One experiment of an MLflow store.

    What an `Entry` says may be done again after a failure.

    Attributes:
        ids: MLflow's id of each run that is known, by key.
        models: the id of each run's model, by the run's key.
        registered: what came of registering it, by the run's key.
        uri: the store's address.
        folder: where the store lies if it is the local one.
    """

    def __init__(self, client: MlflowClient, experiment_id: str, uri: str, folder: Path) -> None:
        self.ids: dict[str, str] = {}
        self.models: dict[str, str] = {}
        self.registered: dict[str, str] = {}
        self._doubtful: set[str] = set()
        self._places: dict[str, str] = {}  # of the files of the runs that were started here
        self.uri = uri
        self.folder = folder
        self._client = client
        self._experiment_id = experiment_id

    @classmethod
    def open(cls, config: TrackingConfig) -> MlflowStore:
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
            experiment_id = _experiment(client, config.experiment, artifacts)
        return cls(client, experiment_id, uri, folder)

    def do(self, entries: Sequence[Entry], *, is_doubtful: bool = False) -> None:
        """Does what an entry says; several must be of one run, and each `BATCHED`.

        `is_doubtful` says that it may have been done before.

        Raises:
            StoreAway: later it may work.
            TrackingError: it will not work.
        """
        first = entries[0]
        with told_of(self.uri):
            if first.what in BATCHED:
                self._batch(first.run, entries)
            elif first.what in ("start", "add_model"):
                getattr(self, first.what)(first.run, is_doubtful=is_doubtful, **first.arguments)
            else:
                getattr(self, first.what)(first.run, **first.arguments)

    def find(self, key: str) -> str | None:
        """Gives the id of the run of that key, None where there is none.

        Raises:
            TrackingError: the store cannot be read.
        """
        if key not in self.ids:
            with told_of(self.uri):
                found = self._search(f"tags.`{KEY}` = '{key}'")
            if found:
                self.ids[key] = min(run.info.run_id for run in found)
        return self.ids.get(key)

    def running(self, sweep: str) -> list[tuple[str, int]]:
        """Gives the key of each run of a sweep's trials that has not ended, and the trial's number.

        Raises:
            TrackingError: the store cannot be read.
        """
        with told_of(self.uri):
            found = self._search(f"tags.`{SWEEP}` = '{sweep}' and attributes.status = 'RUNNING'")
        return [(run.data.tags[KEY], int(run.data.tags[TRIAL])) for run in found]

    def start(
        self,
        key: str,
        *,
        name: str,
        parent: str | None,
        params: Mapping[str, str],
        tags: Mapping[str, str],
        time_ms: int,
        is_doubtful: bool,
    ) -> None:
        """Opens a run below the one of key `parent`, with its params and tags."""
        if is_doubtful:
            self._doubtful.add(key)
        if not is_doubtful or self.find(key) is None:
            tags = {
                mlflow_tags.MLFLOW_USER: getpass.getuser(),
                mlflow_tags.MLFLOW_SOURCE_NAME: sys.argv[0],
                mlflow_tags.MLFLOW_SOURCE_TYPE: "LOCAL",
                KEY: key,
                **tags,
            }
            if parent is not None:
                tags[mlflow_tags.MLFLOW_PARENT_RUN_ID] = self._id(parent)
            run = self._client.create_run(
                self._experiment_id, start_time=time_ms, tags=tags, run_name=name
            )
            self.ids[key] = run.info.run_id
            self._places[key] = run.info.artifact_uri
        logged = [Param(_key(param), value) for param, value in params.items()]
        for part in _parts(logged, MOST_PARAMS):
            self._client.log_batch(self.ids[key], params=part)

    def _batch(self, key: str, entries: Sequence[Entry]) -> None:
        """Adds points to curves and sets tags, in one request; the last entry may end the run."""
        said = [entry.arguments for entry in entries]
        tags = {name: text for each in said for name, text in each.get("tags", {}).items()}
        points = [point for each in said for point in each.get("points", ())]
        self._log(self._id(key), points, tags)
        if entries[-1].what == "end":
            self._end(key, STATES[tags["seqsweep.outcome"]], said[-1]["time_ms"])

    def _log(
        self,
        run_id: str,
        points: Sequence[Sequence[Any]],
        tags: Mapping[str, str],
        *,
        model_id: str | None = None,
    ) -> None:
        """Logs points `(name, value, step, time_ms)`; one that is there stays once."""
        if not points and len(tags) == 1:  # by MLflow half of what a batch of one takes
            return self._client.set_tag(run_id, *next(iter(tags.items())))
        model = {} if model_id is None else {"model_id": model_id, "run_id": run_id}
        metrics = [Metric(name, value, time, step, **model) for name, value, step, time in points]
        first, *rest = _parts(metrics, MOST_METRICS) or [[]]
        self._client.log_batch(run_id, first, tags=[RunTag(*tag) for tag in tags.items()])
        for part in rest:
            self._client.log_batch(run_id, part)

    def _end(self, key: str, status: str, time_ms: int) -> None:
        """Closes the run; of what may have been asked for twice there is then one."""
        self._client.set_terminated(self._id(key), status, end_time=time_ms)
        if key in self._doubtful:
            self._delete_doubles(key)

    def add_file(self, key: str, *, path: str, folder: str = "") -> None:
        """Keeps a copy of the file `path` in that folder of the run's files."""
        self._files_of(key).log_artifact(path, folder or None)

    def add_table(self, key: str, *, path: str, folder: str) -> None:
        """Keeps a copy of a JSON file and tells MLflow's pages that it is a table."""
        self.add_file(key, path=path, folder=folder)
        run_id, name = self._id(key), str(PurePosixPath(folder, Path(path).name))
        tags = self._client.get_run(run_id).data.tags
        known = json.loads(tags.get(mlflow_tags.MLFLOW_LOGGED_ARTIFACTS, "[]"))
        table = {"path": name, "type": "table"}
        if table not in known:
            said = json.dumps([*known, table])
            self._client.set_tag(run_id, mlflow_tags.MLFLOW_LOGGED_ARTIFACTS, said)

    def add_data(self, key: str, *, inputs: Sequence[Mapping[str, Any]]) -> None:
        """Says that the run reads data sets, of which MLflow has each once by name and digest."""
        known = [dataset_input(DataInput(**each)) for each in inputs]
        self._client.log_inputs(self._id(key), known)

    def add_text(self, key: str, *, text: str, file_name: str) -> None:
        """Keeps `text` as a file of that name."""
        with TemporaryDirectory() as folder:
            path = Path(folder, file_name)
            path.write_text(text, encoding="utf-8")
            self.add_file(key, path=str(path))

    def add_model(
        self, key: str, *, folder: str, results: Sequence[Sequence[Any]], is_doubtful: bool
    ) -> None:
        """Keeps the MLflow model in `folder` as a logged model of the run.

        This is what `mlflow.tensorflow.log_model` does after it has saved the model. The trial's
        process did the saving, so that TensorFlow is not needed here.
        """
        run_id = self._id(key)
        model = self._model_of(run_id) if is_doubtful else None
        if model is None:
            model = self._client.create_logged_model(
                self._experiment_id, name="model", source_run_id=run_id
            )
        description = Model.load(folder)
        description.run_id = run_id
        description.model_id = description.model_uuid = model.model_id
        description.artifact_path = model.artifact_location
        write_whole(Path(folder) / "MLmodel", description.to_yaml().encode())
        self._files_at(model.artifact_location).log_artifacts(folder)
        self._client.finalize_logged_model(model.model_id, "READY")
        self._client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
        self._log(run_id, results, {}, model_id=model.model_id)
        self.models[key] = model.model_id

    def register(self, key: str, *, name: str, evaluation: Mapping[str, Any]) -> None:
        """Makes the run's model a version of the registered model `name`."""
        run_id = self._id(key)
        if key not in self.models:
            if (model := self._model_of(run_id)) is None:
                raise TrackingError(f"the run {run_id} has no model that could be registered")
            self.models[key] = model.model_id
        self.registered[key] = register(
            self._client, name, run_id, self.models[key], Evaluation(**evaluation)
        )

    @property
    def place(self) -> str:
        """Where the store is, without a password."""
        return f"the MLflow store {masked(self.uri)}"

    def by_id(self, run_id: str) -> Run | None:
        """Gives the run of that id, None where there is none."""
        try:
            return self._client.get_run(run_id)
        except MlflowException as error:
            if error.error_code != ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
                raise
            return None

    def below(self, run_id: str) -> list[Run]:
        """Gives the runs below that one."""
        return self._search(f"tags.`{mlflow_tags.MLFLOW_PARENT_RUN_ID}` = '{run_id}'")

    def last(self, wanted: str) -> Run | None:
        """Gives the run that was started last of those that a filter of MLflow's lets through."""
        found = self._client.search_runs(
            [self._experiment_id], wanted, max_results=1, order_by=["attributes.start_time DESC"]
        )
        return found[0] if found else None

    def curve(self, run_id: str, name: str) -> dict[int, float]:
        """Gives a metric's values by step; empty where the run has none."""
        return {m.step: m.value for m in self._client.get_metric_history(run_id, name)}

    def file(self, run_id: str, name: str, folder: str) -> str:
        """Copies a file of a run into `folder`; gives its path."""
        return self._client.download_artifacts(run_id, name, folder)

    def reopen(self, key: str) -> None:
        """Makes an ended run one that goes on."""
        run_id = self._id(key)
        tags = self._client.get_run(run_id).data.tags
        self._client.update_run(run_id, status="RUNNING")
        for tag in OF_THE_END:
            if tag in tags:
                self._client.delete_tag(run_id, tag)

    def page(self) -> str:
        """Gives the address of the runs on the server, or where `mlflow ui` will serve them.

        Without the workflow type, MLflow 3 opens on its pages for language models.
        """
        server = masked(self.uri) if self.uri.startswith("http") else "http://127.0.0.1:5000"
        return f"{server}/#/experiments/{self._experiment_id}?workflowType=machine_learning"

    def how_to_open(self) -> str | None:
        """Gives the command that serves the runs; None where a server does already."""
        if self.uri.startswith("http"):
            return None
        program = Path(sys.executable).with_name("mlflow")
        command = f"{shlex.quote(str(program)) if program.exists() else 'mlflow'} ui"
        if self.uri == _local(self.folder):
            return f"cd {shlex.quote(str(self.folder))} && {command}"
        return f"{command} --backend-store-uri {shlex.quote(masked(self.uri))}"

    def _id(self, key: str) -> str:
        if (run_id := self.find(key)) is None:
            raise TrackingError(f"{self.place} has lost a run")
        return run_id

    def _files_of(self, key: str) -> ArtifactRepository:
        """Gives the place of a run's files; MLflow's client would read the whole run for it."""
        if key not in self._places:
            self._places[key] = self._client.get_run(self._id(key)).info.artifact_uri
        return self._files_at(self._places[key])

    def _files_at(self, place: str) -> ArtifactRepository:
        place = add_databricks_profile_info_to_artifact_uri(place, self.uri)
        return get_artifact_repository(place, tracking_uri=self.uri)

    def _delete_doubles(self, key: str) -> None:
        """Deletes the runs that requests have made of which no answer came in time."""
        for run in self._search(f"tags.`{KEY}` = '{key}'"):
            if run.info.run_id != self._id(key):
                self._client.delete_run(run.info.run_id)
        self._doubtful.discard(key)

    def _search(self, wanted: str) -> list[Run]:
        found, page = [], None
        while page != "":
            runs = self._client.search_runs([self._experiment_id], wanted, page_token=page)
            found += runs
            page = runs.token or ""
        return found

    def _model_of(self, run_id: str) -> Any:
        models = self._client.search_logged_models(
            [self._experiment_id], filter_string=f"source_run_id = '{run_id}'"
        )
        return models[0] if models else None


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


def _parts(items: Sequence[Any], most: int) -> list[Sequence[Any]]:
    return [items[start : start + most] for start in range(0, len(items), most)]


def _key(key: str) -> str:
    """Gives a param's name in the characters that MLflow takes."""
    return re.sub(r"[^\w\-.:/ ]", "_", key, flags=re.ASCII)

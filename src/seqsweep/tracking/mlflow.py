"""MLflow's client, as a store that can be asked twice for the same thing.

`with mlflow.start_run()` would record a pruned trial as FAILED, and its global state is not made
for several runs at a time: states are set by us, never by a context manager or an environment.

A run is named by a key of ours, which a tag of it holds: the id that MLflow gives is known only
once MLflow has answered.
"""

from __future__ import annotations

import getpass
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from mlflow.entities import LoggedModelOutput, Metric, Param, RunTag
from mlflow.models import Model
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.utils import mlflow_tags
from mlflow.utils.uri import add_databricks_profile_info_to_artifact_uri

from seqsweep.errors import TrackingError
from seqsweep.evaluation import Evaluation
from seqsweep.folders import write_whole
from seqsweep.process.messages import DataInput
from seqsweep.tracking.base import KEY, SWEEP, TRIAL
from seqsweep.tracking.datasets import dataset_input
from seqsweep.tracking.experiment import Experiment
from seqsweep.tracking.failures import told_of
from seqsweep.tracking.journal import Entry
from seqsweep.tracking.registry import register

# MLflow's own limits for one call of log_batch; of all kinds together it takes 1000.
MOST_METRICS = 900
MOST_PARAMS = 100
BATCHED = ("log", "tag", "end")  # what several entries in a row may say to be sent together
STATES = {"completed": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
OF_THE_END = ("seqsweep.outcome", "seqsweep.reason", "seqsweep.ended_by")  # tags


class MlflowStore:
    """One experiment of an MLflow store.

    What an `Entry` says may be done again after a failure.

    Attributes:
        ids: MLflow's id of each run that is known, by key.
        models: the id of each run's model, by the run's key.
        registered: what came of registering it, by the run's key.
        experiment: where they are kept.
    """

    def __init__(self, experiment: Experiment) -> None:
        self.ids: dict[str, str] = {}
        self.models: dict[str, str] = {}
        self.registered: dict[str, str] = {}
        self.experiment = experiment
        self._client = experiment.client
        self._doubtful: set[str] = set()
        self._places: dict[str, str] = {}  # of the files of the runs that were started here

    def do(self, entries: Sequence[Entry], *, is_doubtful: bool = False) -> None:
        """Does what an entry says; several must be of one run, and each `BATCHED`.

        `is_doubtful` says that it may have been done before.

        Raises:
            StoreAway: later it may work.
            TrackingError: it will not work.
        """
        first = entries[0]
        with told_of(self.experiment.uri):
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
            with told_of(self.experiment.uri):
                found = self.experiment.search(f"tags.`{KEY}` = '{key}'")
            if found:
                self.ids[key] = min(run.info.run_id for run in found)
        return self.ids.get(key)

    def running(self, sweep: str) -> list[tuple[str, int]]:
        """Gives the key of each run of a sweep's trials that has not ended, and the trial's number.

        Raises:
            TrackingError: the store cannot be read.
        """
        with told_of(self.experiment.uri):
            wanted = f"tags.`{SWEEP}` = '{sweep}' and attributes.status = 'RUNNING'"
            found = self.experiment.search(wanted)
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
                self.experiment.id, start_time=time_ms, tags=tags, run_name=name
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
                self.experiment.id, name="model", source_run_id=run_id
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

    def reopen(self, key: str) -> None:
        """Makes an ended run one that goes on."""
        run_id = self._id(key)
        tags = self._client.get_run(run_id).data.tags
        self._client.update_run(run_id, status="RUNNING")
        for tag in OF_THE_END:
            if tag in tags:
                self._client.delete_tag(run_id, tag)

    def _id(self, key: str) -> str:
        if (run_id := self.find(key)) is None:
            raise TrackingError(f"{self.experiment.place} has lost a run")
        return run_id

    def _files_of(self, key: str) -> ArtifactRepository:
        """Gives the place of a run's files; MLflow's client would read the whole run for it."""
        if key not in self._places:
            self._places[key] = self._client.get_run(self._id(key)).info.artifact_uri
        return self._files_at(self._places[key])

    def _files_at(self, place: str) -> ArtifactRepository:
        place = add_databricks_profile_info_to_artifact_uri(place, self.experiment.uri)
        return get_artifact_repository(place, tracking_uri=self.experiment.uri)

    def _delete_doubles(self, key: str) -> None:
        """Deletes the runs that requests have made of which no answer came in time."""
        for run in self.experiment.search(f"tags.`{KEY}` = '{key}'"):
            if run.info.run_id != self._id(key):
                self._client.delete_run(run.info.run_id)
        self._doubtful.discard(key)

    def _model_of(self, run_id: str) -> Any:
        models = self._client.search_logged_models(
            [self.experiment.id], filter_string=f"source_run_id = '{run_id}'"
        )
        return models[0] if models else None


def _parts(items: Sequence[Any], most: int) -> list[Sequence[Any]]:
    return [items[start : start + most] for start in range(0, len(items), most)]


def _key(key: str) -> str:
    """Gives a param's name in the characters that MLflow takes."""
    return re.sub(r"[^\w\-.:/ ]", "_", key, flags=re.ASCII)

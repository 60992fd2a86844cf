"""What MLflow has of an earlier trial: its config and its curves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.utils import mlflow_tags
from omegaconf import OmegaConf

from seqsweep.config import TrackingConfig
from seqsweep.errors import ConfigError, TrackingError
from seqsweep.secrets import MASK
from seqsweep.tracking.experiment import Experiment
from seqsweep.tracking.failures import told_of

ACCEPTED = "a run's id, a trial's number of the last sweep, and SWEEP/NUMBER are accepted"


@dataclass(frozen=True)
class Recorded:
    """An earlier trial: the id of its run, its config as YAML without what is hidden, its curves.

    A curve is the values of a metric by step.
    """

    run_id: str
    config: str
    curves: dict[str, dict[int, float]]

    @classmethod
    def read(cls, tracking: TrackingConfig, which: str, curves: tuple[str, ...]) -> Recorded:
        """Reads the trial that `which` names, with those of its curves that it has.

        Raises:
            TrackingError: the store has no such trial, or cannot be read.
            ConfigError: nothing is recorded there, or `which` is a sweep or a trial under several
                seeds.
        """
        if tracking.name == "none":
            raise ConfigError(
                f"rerun={which}: tracking=none has no recorded trials; tracking=mlflow is accepted"
            )
        experiment = Experiment.open(tracking)
        with told_of(experiment.uri):
            run = _find(experiment, which)
            if seeds := experiment.search(_below(run.info.run_id)):
                raise ConfigError(
                    f"rerun={which} has several runs below it; give the one to be trained again: "
                    f"{', '.join(f'{each.info.run_id} ({each.info.run_name})' for each in seeds)}"
                )
            found = {name: _curve(experiment, run.info.run_id, name) for name in curves}
            config = _config_of(experiment, run)
        if MASK in config:
            raise TrackingError(
                f"rerun={which}: the recorded config holds secrets, which were masked as {MASK}"
            )
        return cls(run.info.run_id, config, {name: curve for name, curve in found.items() if curve})


def _find(experiment: Experiment, which: str) -> Run:
    """Gives the run of a trial, by its id or as `[SWEEP/]NUMBER`, of which the last one counts."""
    if re.fullmatch("[0-9a-f]{32}", which):
        found = _by_id(experiment, which)
    elif number := re.fullmatch(r"(?:([^/']+)/)?(\d+)", which):
        wanted = f"tags.`seqsweep.kind` = 'trial' and tags.`seqsweep.trial` = '{number[2]}'"
        if number[1]:
            wanted += f" and tags.`seqsweep.study` = '{number[1]}'"
        found = _last(experiment, wanted)
    else:
        raise ConfigError(f"rerun={which}: {ACCEPTED}")
    if found is None:
        raise TrackingError(f"rerun={which}: {experiment.place} has no such trial; {ACCEPTED}")
    return found


def _by_id(experiment: Experiment, run_id: str) -> Run | None:
    try:
        return experiment.client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
            raise
        return None


def _last(experiment: Experiment, wanted: str) -> Run | None:
    """Gives the run that was started last of those that a filter of MLflow's lets through."""
    last = ["attributes.start_time DESC"]
    found = experiment.client.search_runs([experiment.id], wanted, max_results=1, order_by=last)
    return found[0] if found else None


def _below(run_id: str) -> str:
    return f"tags.`{mlflow_tags.MLFLOW_PARENT_RUN_ID}` = '{run_id}'"


def _curve(experiment: Experiment, run_id: str, name: str) -> dict[int, float]:
    return {m.step: m.value for m in experiment.client.get_metric_history(run_id, name)}


def _config_of(experiment: Experiment, run: Run) -> str:
    """Gives the config of a run; that of a repeat is its trial's, with its own seed."""
    if run.data.tags.get("seqsweep.kind") != "repeat":
        return _text(experiment, run.info.run_id)
    config = OmegaConf.create(_text(experiment, run.data.tags[mlflow_tags.MLFLOW_PARENT_RUN_ID]))
    for key, value in run.data.params.items():
        OmegaConf.update(config, key, yaml.safe_load(value))
    return OmegaConf.to_yaml(config)


def _text(experiment: Experiment, run_id: str) -> str:
    with TemporaryDirectory() as folder:
        try:
            path = experiment.client.download_artifacts(run_id, "config.yaml", folder)
            return Path(path).read_text(encoding="utf-8")
        except OSError as error:
            raise TrackingError(f"the run {run_id} has no config.yaml to train from") from error

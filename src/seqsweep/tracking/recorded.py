"""What MLflow has of an earlier trial: its config and its curves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from mlflow.entities import Run
from mlflow.utils import mlflow_tags
from omegaconf import OmegaConf

from seqsweep.config import TrackingConfig
from seqsweep.errors import ConfigError, TrackingError
from seqsweep.secrets import MASK
from seqsweep.tracking.failures import told_of
from seqsweep.tracking.mlflow import MlflowStore

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
        store = MlflowStore.open(tracking)
        with told_of(store.uri):
            run = _find(store, which)
            if seeds := store.below(run.info.run_id):
                raise ConfigError(
                    f"rerun={which} has several runs below it; give the one to be trained again: "
                    f"{', '.join(f'{each.info.run_id} ({each.info.run_name})' for each in seeds)}"
                )
            found = {name: store.curve(run.info.run_id, name) for name in curves}
            config = _config_of(store, run)
        if MASK in config:
            raise TrackingError(
                f"rerun={which}: the recorded config holds secrets, which were masked as {MASK}"
            )
        return cls(run.info.run_id, config, {name: curve for name, curve in found.items() if curve})


def _find(store: MlflowStore, which: str) -> Run:
    """Gives the run of a trial, by its id or as `[SWEEP/]NUMBER`, of which the last one counts."""
    if re.fullmatch("[0-9a-f]{32}", which):
        found = store.by_id(which)
    elif number := re.fullmatch(r"(?:([^/']+)/)?(\d+)", which):
        wanted = f"tags.`seqsweep.kind` = 'trial' and tags.`seqsweep.trial` = '{number[2]}'"
        if number[1]:
            wanted += f" and tags.`seqsweep.study` = '{number[1]}'"
        found = store.last(wanted)
    else:
        raise ConfigError(f"rerun={which}: {ACCEPTED}")
    if found is None:
        raise TrackingError(f"rerun={which}: {store.place} has no such trial; {ACCEPTED}")
    return found


def _config_of(store: MlflowStore, run: Run) -> str:
    """Gives the config of a run; that of a repeat is its trial's, with its own seed."""
    if run.data.tags.get("seqsweep.kind") != "repeat":
        return _text(store, run.info.run_id)
    config = OmegaConf.create(_text(store, run.data.tags[mlflow_tags.MLFLOW_PARENT_RUN_ID]))
    for key, value in run.data.params.items():
        OmegaConf.update(config, key, yaml.safe_load(value))
    return OmegaConf.to_yaml(config)


def _text(store: MlflowStore, run_id: str) -> str:
    with TemporaryDirectory() as folder:
        try:
            return Path(store.file(run_id, "config.yaml", folder)).read_text(encoding="utf-8")
        except OSError as error:
            raise TrackingError(f"the run {run_id} has no config.yaml to train from") from error

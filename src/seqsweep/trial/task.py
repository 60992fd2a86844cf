"""The task that Hydra calls, in a trial process of a sweep or for a single run.

TensorFlow is imported only once the configuration is known to be good.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, ListConfig, open_dict

from seqsweep import data
from seqsweep.config import Config, ModelFunctionConfig, read
from seqsweep.errors import ConfigError, UserError
from seqsweep.outcome import EXIT_INTERRUPTED
from seqsweep.process.channel import Channel, current, report
from seqsweep.process.messages import CHECKPOINT_FOLDER, MODEL_FOLDER, Report
from seqsweep.process.result import raised
from seqsweep.signals import handled_by, interrupt
from seqsweep.trial.tried import try_model

WANTED = {"val_accuracy": "maximize", "val_loss": "minimize", "n_parameters": "minimize"}
EXAMPLE_IMAGES = 2  # in the model's input example


def main(cfg: DictConfig) -> float | tuple[float, ...]:
    """Trains once and gives the value of the objective, or a tuple within a sweep.

    Raises:
        SystemExit: the configuration is wrong or the training failed; the message says how.
    """
    folder = Path(HydraConfig.get().runtime.output_dir)
    if (channel := current()) is not None:
        return run_trial(read(cfg), folder, channel)
    from seqsweep.trial.rerun import Rerun
    from seqsweep.trial.single import run_single

    try:
        with handled_by(interrupt):
            if "rerun" not in cfg:
                return run_single(checked(cfg), cfg, folder)
            rerun = Rerun.read(cfg, HydraConfig.get().overrides.task)
            return run_single(rerun.checked_by(checked), rerun.cfg, folder, rerun)
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    except Exception as error:  # Hydra would print the overrides, and so secrets
        sys.exit(raised(error).traceback)


def checked(cfg: DictConfig) -> Config:
    """Reads the configuration and looks at the data it names, without loading it.

    Raises:
        UserError: it cannot train.
    """
    config = read(cfg)
    n_train = data.count_training(config.data)
    if config.training.batch_size > n_train:
        raise ConfigError(
            f"training.batch_size={config.training.batch_size} is larger than the training set of "
            f"{n_train} images; accepted is 1 to {n_train}"
        )
    return config


def check(cfg: DictConfig) -> None:
    """Checks one composed configuration of a sweep, Hydra's part included, before its first trial.

    Raises:
        UserError: it cannot train.
    """
    sweeper = cfg.hydra.sweeper
    directions, metric = _listed(sweeper.direction), _listed(sweeper.metric)
    with open_dict(cfg):
        del cfg["hydra"]
    config = checked(cfg)
    objectives = list(config.objective)
    wanted = [WANTED[name] for name in objectives]
    if directions != wanted:
        raise ConfigError(
            f"hydra.sweeper.direction={_shown(directions)} does not fit "
            f"objective={_shown(objectives)}, which is to be {_shown(wanted)}d"
        )
    if metric != objectives:
        raise ConfigError(
            f"hydra.sweeper.metric={_shown(metric)} does not fit objective={_shown(objectives)}: "
            "the pruner looks at what is optimised"
        )
    if isinstance(config.model, ModelFunctionConfig):
        try_model(config)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, ListConfig) else [value]


def _shown(values: list[Any]) -> str:
    return str(values[0]) if len(values) == 1 else f"[{', '.join(map(str, values))}]"


def run_trial(config: Config, folder: Path, channel: Channel) -> tuple[float, ...]:
    """Trains in a trial process; leaves the model in `folder` and gives the objectives' values.

    Where an earlier try left a checkpoint there, it goes on from that.
    """
    from seqsweep.trial.checkpoint import Checkpoints
    from seqsweep.trial.devices import configure_devices
    from seqsweep.trial.findings import findings
    from seqsweep.trial.inherited import dataset_of
    from seqsweep.trial.reporting import ChannelReporter
    from seqsweep.trial.train import train

    configure_devices(config.devices)
    dataset = dataset_of(config.data)
    channel.send(Report(data=data.described(dataset)))
    reporter, checkpoints = ChannelReporter(channel), None
    if config.training.checkpoint_every_s is not None:
        checkpoints = Checkpoints(folder / CHECKPOINT_FOLDER, config, dataset, reporter)
    trained = train(config, dataset, reporter, checkpoints)
    channel.send(findings(trained, dataset, folder, pictures=config.tracking.pictures))
    save(trained.model, folder / MODEL_FOLDER, dataset)
    return trained.values


def evaluate_best(cfg: DictConfig) -> float:
    """Evaluates the model that a trial left in its folder on the test images; writes its card."""
    from seqsweep.models import logits
    from seqsweep.tracking.models import load_model
    from seqsweep.trial.card import evaluation_of
    from seqsweep.trial.devices import configure_devices
    from seqsweep.trial.inherited import dataset_of
    from seqsweep.trial.train import Evaluator

    config = read(cfg)
    folder = Path(HydraConfig.get().runtime.output_dir)
    configure_devices(config.devices)
    dataset = dataset_of(config.data)
    model = load_model(folder / MODEL_FOLDER)
    scores = Evaluator(logits(model))(dataset.test)
    report(0, **scores.tested(len(dataset.test.y)))
    evaluation_of(config, dataset, model, scores).write(folder)
    return scores.accuracy


def save(model, folder: Path, dataset: data.Dataset) -> None:
    """Saves the model so that it loads without this project."""
    from seqsweep import models
    from seqsweep.tracking.models import save_model

    example = dataset.validation.x[:EXAMPLE_IMAGES]
    save_model(models.portable(model), folder, example=example)

"""One training run by itself: progress on the screen, its record in the tracking store."""

from __future__ import annotations

import collections
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from seqsweep import data
from seqsweep.config import Config, ModelFunctionConfig
from seqsweep.data import Split
from seqsweep.errors import TrackingError
from seqsweep.gpus import gpu_of
from seqsweep.outcome import INTERRUPTED, Completed, Failed
from seqsweep.process.messages import DURATION, MODEL_FOLDER, OBJECTIVE, Point, Report
from seqsweep.process.result import raised
from seqsweep.process.usage import sampled
from seqsweep.record import flatten, visible
from seqsweep.signals import heed_interrupt
from seqsweep.terminal import Terminal
from seqsweep.tracking import (
    HURRY_S,
    Run,
    RunRecord,
    Tracking,
    how_to_see,
    new_key,
    open_tracking,
    record,
)
from seqsweep.tracking.provenance import git_tags
from seqsweep.trial.quiet import load_tensorflow
from seqsweep.trial.reporting import Curves, Reporter
from seqsweep.trial.rerun import Rerun
from seqsweep.trial.screen import Screen, open_screen


def run_single(config: Config, cfg: DictConfig, folder: Path, rerun: Rerun | None = None) -> float:
    """Trains once, tests once, and records both; gives the objective's value.

    Of a `rerun` it says whether the curves are the recorded ones.

    Raises:
        UserError: the store cannot be used or the training diverged; its run says so.
        KeyboardInterrupt: it was interrupted; its run says so.
    """
    tracking = open_tracking(config.tracking, folder)
    dataset = data.load(config.data)
    console = Terminal()
    load_tensorflow()
    prepare(config, dataset)
    run = start_run(tracking, config, cfg, folder)
    seen = RunReporter(run)
    with flushed(tracking, config), ended_truly(run):
        heed_interrupt()
        record(run, Report(data=data.described(dataset)))
        if rerun is not None:
            run.tag({"seqsweep.rerun_of": rerun.recorded.run_id})
        began = time.monotonic()
        value = train_and_test(config, dataset, run, seen, console, folder)
        run.log([Point(DURATION, time.monotonic() - began, 0)])
        if rerun is not None:
            console.print(rerun.compared(seen.curves), highlight=False, soft_wrap=True)
        run.settle()
        run.end(Completed((value,)))
    if config.training.display == "bar":
        say_where(console, tracking)
    return value


def prepare(config: Config, dataset: data.Dataset) -> None:
    """Sets the device, and builds a model of the user's own once before anything is recorded.

    Raises:
        UserError: it cannot be built, or not be trained.
    """
    from seqsweep import models
    from seqsweep.trial.devices import configure_devices

    configure_devices(config.devices)
    if isinstance(config.model, ModelFunctionConfig):
        models.build(
            config.model,
            input_shape=dataset.input_shape,
            n_classes=dataset.n_classes,
            seed=config.seed,
        )


def train_and_test(
    config: Config,
    dataset: data.Dataset,
    run: Run,
    reporter: RunReporter,
    console: Console,
    folder: Path,
) -> float:
    """Trains, tests and keeps the model; gives the objective's value."""
    from seqsweep.trial.findings import findings
    from seqsweep.trial.task import save
    from seqsweep.trial.train import train

    with open_screen(config, console) as screen, sampled_here(config, run):
        reporter.screen = screen
        trained = train(config, dataset, reporter)
    test = first(dataset.test, config.training.test_len)
    scores = trained.evaluate(test)
    screen.tested(trained, scores)
    results = {OBJECTIVE: trained.value, **scores.tested(len(test.y))}
    points = [Point(name, value, 0) for name, value in results.items()]
    save(trained.model, folder / MODEL_FOLDER, dataset)
    record(run, findings(trained, dataset, folder, pictures=config.tracking.pictures))
    if config.tracking.log_model:
        run.add_model(folder / MODEL_FOLDER, points)
    else:
        run.log(points)
    return trained.value


def sampled_here(config: Config, run: Run) -> AbstractContextManager[None]:
    """Records what this process takes of the machine."""
    from seqsweep.trial.devices import device

    gpu = None
    if device() == "gpu":
        gpu = gpu_of({"CUDA_VISIBLE_DEVICES": "0", **os.environ})
    return sampled(os.getpid(), run.log, every_s=config.tracking.system_metrics_every_s, gpu=gpu)


def start_run(tracking: Tracking, config: Config, cfg: DictConfig, folder: Path) -> Run:
    """Opens the run with its params, tags and config."""
    values = visible(cfg, config.tracking.hidden)
    tags = {**git_tags(Path(config.tracking.dir)), "seqsweep.kind": "single"}
    record = RunRecord(name=folder.name, params=flatten(values), tags=tags)
    run = tracking.start(record, new_key())
    with ended_truly(run):
        run.add_text(OmegaConf.to_yaml(values), "config.yaml")
    return run


def first(split: Split, n: int | None) -> Split:
    """Gives the first `n` images, all where `n` is None."""
    return Split(split.x[:n], split.y[:n])


class RunReporter(Reporter):
    """Shows a training on the `screen` and records its curves at each validation.

    Attributes:
        screen: where it is shown; to be set before the training.
        curves: all values that it was told, by metric and step.
    """

    screen: Screen

    def __init__(self, run: Run) -> None:
        self._run = run
        self._curves = Curves()
        self.curves: dict[str, dict[int, float]] = collections.defaultdict(dict)

    def described(self, facts: dict[str, float]) -> None:
        """Records the facts."""
        self._curves.add(0, facts)

    def point(self, samples: int, metrics: dict[str, float], *, done: float) -> None:
        """Shows the metrics and keeps them until the next validation."""
        self.screen.point(samples, metrics, done)
        self._keep(samples, metrics)

    def validated(
        self, number: int, samples: int, metrics: dict[str, float], *, done: float
    ) -> bool:
        """Shows the metrics and records all points; gives False."""
        self.screen.validated(number, metrics, done)
        self._keep(samples, metrics)
        self._run.log(self._curves.take())
        return False

    def _keep(self, samples: int, metrics: dict[str, float]) -> None:
        self._curves.add(samples, metrics)
        for name, value in metrics.items():
            self.curves[name][samples] = value


@contextmanager
def ended_truly(run: Run) -> Iterator[None]:
    """Ends the run as failed, with its reason, whatever takes the program out of this block."""
    try:
        yield
    except KeyboardInterrupt:
        run.end(Failed(INTERRUPTED))
        raise
    except BaseException as error:
        run.end(raised(error))
        raise


@contextmanager
def flushed(tracking: Tracking, config: Config) -> Iterator[None]:
    """Waits after this block for the store to have the whole record.

    Raises:
        TrackingError: it has not; the message says where the record lies.
    """
    try:
        yield
    except BaseException:
        tracking.flush(config.tracking.wait, in_all_s=HURRY_S)
        raise
    if (unsent := tracking.flush(config.tracking.wait)) is not None:
        raise TrackingError(unsent)


def say_where(console: Console, tracking: Tracking) -> None:
    """Prints how to see the run."""
    for line in how_to_see(tracking):
        console.print(line, highlight=False, soft_wrap=True, markup=False)

"""One training run by itself: progress on the screen, its record in the tracking store."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from seqsweep import data
from seqsweep.config import Config
from seqsweep.data import Split
from seqsweep.errors import UserError
from seqsweep.outcome import Completed, Failed
from seqsweep.process.messages import Point
from seqsweep.record import flatten, visible
from seqsweep.tracking import Run, RunRecord, Tracking, how_to_see, open_tracking
from seqsweep.tracking.provenance import git_tags
from seqsweep.trial.quiet import load_tensorflow
from seqsweep.trial.reporting import Reporter
from seqsweep.trial.screen import Screen, open_screen

EXIT_INTERRUPTED = 130


def run_single(config: Config, cfg: DictConfig, folder: Path) -> float:
    """Trains once, tests once, and records both; gives the best value of the objective.

    Raises:
        UserError: the store cannot be used or the training diverged; its run says so.
    """
    tracking = open_tracking(config.tracking)
    dataset = data.load(config.data)
    run = start_run(tracking, config, cfg, folder)
    console = Console()
    with ended_truly(run):
        load_tensorflow()
        from seqsweep.trial.devices import configure_devices
        from seqsweep.trial.task import MODEL_FOLDER, save
        from seqsweep.trial.train import Evaluator, train

        configure_devices(config.devices)
        with open_screen(config, console) as screen:
            trained = train(config, dataset, RunReporter(run, screen))
        scores = Evaluator(trained.model)(first(dataset.test, config.training.test_len))
        results = {f"best_{config.objective}": trained.best, **scores.named("test")}
        points = [Point(name, value, 0) for name, value in results.items()]
        save(trained.model, folder / MODEL_FOLDER, dataset)
        if config.tracking.log_model:
            run.add_model(folder / MODEL_FOLDER, points)
        else:
            run.log(points)
        run.end(Completed((trained.best,)))
    screen.tested(trained, scores)
    if config.training.display == "bar":
        say_where(console, tracking)
    return trained.best


def start_run(tracking: Tracking, config: Config, cfg: DictConfig, folder: Path) -> Run:
    """Opens the run with its params, tags and config."""
    values = visible(cfg, config.tracking.hidden)
    run = tracking.start(
        RunRecord(
            name=folder.name,
            params=flatten(values),
            tags={**git_tags(Path(config.tracking.dir)), "seqsweep.kind": "single"},
        )
    )
    run.add_text(OmegaConf.to_yaml(values), "config.yaml")
    return run


def first(split: Split, n: int | None) -> Split:
    """Gives the first `n` images, all where `n` is None."""
    return Split(split.x[:n], split.y[:n])


class RunReporter(Reporter):
    """Shows a training on the screen and records its curves at each validation."""

    def __init__(self, run: Run, screen: Screen) -> None:
        self._run = run
        self._screen = screen
        self._waiting: list[Point] = []

    def point(self, samples: int, metrics: dict[str, float], *, done: float) -> None:
        """Shows the metrics and keeps them until the next validation."""
        self._screen.point(samples, metrics, done)
        self._waiting += [Point(name, value, samples) for name, value in metrics.items()]

    def validated(
        self, number: int, samples: int, metrics: dict[str, float], *, done: float
    ) -> bool:
        """Shows the metrics and records all points; gives False."""
        self._screen.validated(number, metrics, done)
        self._waiting += [Point(name, value, samples) for name, value in metrics.items()]
        self._run.log(self._waiting)
        self._waiting = []
        return False


@contextmanager
def ended_truly(run: Run) -> Iterator[None]:
    """Ends the run as failed, with its reason, whatever takes the program out of this block."""

    def terminate(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except KeyboardInterrupt:
        run.end(Failed("interrupted"))
        print("interrupted; the run is recorded as failed", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    except UserError as error:
        run.end(Failed(str(error)))
        raise
    except BaseException as error:
        run.end(Failed(f"{type(error).__name__}: {error}".splitlines()[0]))
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def say_where(console: Console, tracking: Tracking) -> None:
    """Prints how to see the run."""
    for line in how_to_see(tracking):
        console.print(line, highlight=False, soft_wrap=True, markup=False)

"""The trial's end of the pipe, and `seqsweep.report` on top of it."""

from __future__ import annotations

import re
from multiprocessing.connection import Connection

from seqsweep.process.messages import Judge, Point, Report

MOST_STEPS = 2**31  # a database's integer
METRIC_NAME = re.compile(r"[\w\-.:/ ]+", re.ASCII)  # what MLflow takes


class TrialPruned(BaseException):
    """Raised inside a trial that the pruner stops; let it pass.

    A `BaseException`, so that a training function's own `except Exception` does not catch it.
    """


class TrialInterrupted(BaseException):
    """Raised inside a trial that is to end now, and to be tried again from its checkpoint."""


class Channel:
    """Sends reports to the worker and waits for its answers."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def send(self, report: Report) -> None:
        """Sends a report that asks nothing; does not wait."""
        self._connection.send(report)

    def ask(
        self,
        points: tuple[Point, ...],
        *,
        step: int,
        metrics: dict[str, float],
        done: float | None = None,
    ) -> bool:
        """Sends points with a number and values to judge; gives True where the trial is to stop."""
        self._connection.send(Report(points, Judge(step, metrics), done))
        return self._connection.recv()


_current: Channel | None = None
_interrupted = False


def current() -> Channel | None:
    """Gives the channel of the trial that this process runs, None outside of a sweep."""
    return _current


def open_current(connection: Connection) -> None:
    """Makes `connection` this process' channel."""
    global _current
    _current = Channel(connection)


def interrupt_current() -> None:
    """Tells this process' trial that it is to end; called by a signal's handler."""
    global _interrupted
    _interrupted = True


def interrupted() -> bool:
    """Says whether the running trial is to end now.

    One that keeps checkpoints writes its last one then; the next `report` ends it. It has some
    seconds for that. Outside of a sweep it is False.
    """
    return _interrupted


def report(step: int, **metrics: float) -> None:
    """Reports metrics of the running trial; where the pruner says so, ends it here.

    Outside of a sweep it does nothing, so a function that reports can still be called by itself.

    Args:
        step: what the pruner compares trials at; it must grow from call to call.
        **metrics: values by name. The pruner looks at `hydra.sweeper.metric`, or at the first one
            where that is not set.

    Raises:
        TrialPruned: the pruner stopped this trial. Let it pass.
        TrialInterrupted: the trial keeps checkpoints and the sweep was interrupted. Let it pass.
        ValueError: no metric was given, or a step or a name that the stores cannot take.
    """
    if not metrics:
        raise ValueError("report() was called without a metric: give at least one, as loss=0.1")
    if not 0 <= int(step) < MOST_STEPS:
        raise ValueError(f"report() was called with step={step}: accepted is 0 to {MOST_STEPS - 1}")
    for name in metrics:
        if not METRIC_NAME.fullmatch(name):
            raise ValueError(
                f"report() was called with the metric {name!r}: accepted are letters, digits and "
                "the characters _ - . : / and space"
            )
    if _current is None:
        return
    values = {name: float(value) for name, value in metrics.items()}
    points = tuple(Point(name, value, int(step)) for name, value in values.items())
    if _current.ask(points, step=int(step), metrics=values):
        raise TrialPruned(f"pruned at step {step}")
    if _interrupted:
        raise TrialInterrupted(f"interrupted at step {step}")

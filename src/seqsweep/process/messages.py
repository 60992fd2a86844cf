"""What a trial process sends up its pipe; its last word is an `Outcome`, or `Stopped`.

Down the pipe go bare booleans: True means stop.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

# What a trial's value is called among the metrics of its run.
OBJECTIVE = "objective"
# Behind a metric's name: the ends of its 95% interval.
LOW, HIGH = "_95_low", "_95_high"
# An MLflow model that a job leaves in this folder of its own becomes the model of its run.
MODEL_FOLDER = "model"
# What a job keeps in this folder of its own, the trial that tries it again finds in its own.
CHECKPOINT_FOLDER = "checkpoint"


def now_ms() -> int:
    """Gives the wall clock in milliseconds since 1970, as MLflow counts it."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Point:
    """One point of a curve: `value` of the metric `name` at `step`, seen at `time_ms`."""

    name: str
    value: float
    step: int
    time_ms: int = field(default_factory=now_ms)


@dataclass(frozen=True)
class Judge:
    """Asks whether to go on after the report number `step`; the sender waits for the answer."""

    step: int
    metrics: dict[str, float]


@dataclass(frozen=True)
class Report:
    """Points of the curves since the last report, with or without a question.

    `done` is the fraction of the training that lies behind, None where nobody knows it.
    """

    points: tuple[Point, ...]
    judge: Judge | None = None
    done: float | None = None


@dataclass(frozen=True)
class Stopped:
    """The task function came back because it was told to stop."""

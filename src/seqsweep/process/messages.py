"""What a trial process sends up its pipe; its last word is an `Outcome`, or `Stopped`.

Down the pipe go bare booleans: True means stop.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# What a trial's value is called among the metrics of its run.
OBJECTIVE = "objective"
DURATION = "duration_s"  # and how long it took, from the start of its process to its end
SPEED = "samples_per_s"  # and how fast it was trained
# Behind a metric's name: the ends of its 95% interval.
LOW, HIGH = "_95_low", "_95_high"
# An MLflow model that a job leaves in this folder of its own becomes the model of its run.
MODEL_FOLDER = "model"
# What a job keeps in this folder of its own, the trial that tries it again finds in its own.
CHECKPOINT_FOLDER = "checkpoint"
OUTPUT_FILE = "output.log"  # what a job writes to stdout and stderr, in its folder


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
class DataInput:
    """A data set that a job reads, for what `context` says, as "training".

    Attributes:
        digest: of the very arrays, at most 36 characters; with the name it tells data sets apart.
        source: the file, folder or package that it was read from.
        shape: of one example.
        dtype: of the examples, as NumPy names it.
        profile: what else there is to know of it, plain values of JSON.
    """

    name: str
    context: str
    digest: str
    source: str
    shape: tuple[int, ...]
    dtype: str
    profile: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class File:
    """A file that a job leaves for its run, there in that folder; it must stay where it is.

    A table is JSON as pandas writes it with `orient="split"`.
    """

    path: Path
    folder: str = ""
    is_table: bool = False


@dataclass(frozen=True)
class Judge:
    """Asks whether to go on after the report number `step`; the sender waits for the answer."""

    step: int
    metrics: dict[str, float]


@dataclass(frozen=True)
class Report:
    """Points of the curves since the last report, with or without a question, and other records.

    `done` is the fraction of the training that lies behind, None where nobody knows it.
    """

    points: tuple[Point, ...] = ()
    judge: Judge | None = None
    done: float | None = None
    data: tuple[DataInput, ...] = ()
    files: tuple[File, ...] = ()


@dataclass(frozen=True)
class Stopped:
    """The task function came back because it was told to stop."""

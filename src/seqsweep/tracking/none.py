"""Tracking that records nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from seqsweep.evaluation import Evaluation
from seqsweep.outcome import Outcome
from seqsweep.process.messages import DataInput, Point
from seqsweep.tracking.base import Run, RunRecord, Tracking


class NoRun(Run):
    """A run of which nothing is kept."""

    key = ""
    id = None
    model_id = None
    is_sent = True

    def log(self, points: Iterable[Point]) -> None:
        """Does nothing."""

    def tag(self, tags: Mapping[str, str]) -> None:
        """Does nothing."""

    def add_file(self, path: Path, folder: str = "") -> None:
        """Does nothing."""

    def add_data(self, data: Iterable[DataInput]) -> None:
        """Does nothing."""

    def add_text(self, text: str, file_name: str) -> None:
        """Does nothing."""

    def add_table(self, path: Path, folder: str = "") -> None:
        """Does nothing."""

    def add_model(self, folder: Path, results: Iterable[Point]) -> None:
        """Does nothing."""

    registered = None

    def register(self, name: str, evaluation: Evaluation) -> None:
        """Does nothing."""

    def end(self, outcome: Outcome) -> None:
        """Does nothing."""

    def settle(self) -> None:
        """Does nothing."""


class NoTracking(Tracking):
    """A store that keeps nothing."""

    def start(self, record: RunRecord, key: str) -> NoRun:
        """Gives a run of which nothing is kept."""
        return NoRun()

    def run(self, key: str) -> NoRun:
        """Gives a run of which nothing is kept."""
        return NoRun()

    def has(self, key: str) -> bool:
        """Says yes: nothing is missing."""
        return True

    def reopen(self, key: str) -> NoRun:
        """Gives a run of which nothing is kept."""
        return NoRun()

    def running(self, sweep: str) -> list[tuple[Run, int]]:
        """Gives none."""
        return []

    def tell(self, listener: Callable[[str], None]) -> None:
        """Does nothing."""

    def flush(self, patience_s: float, *, in_all_s: float = math.inf) -> None:
        """Gives None."""

    def refusal(self) -> None:
        """Gives None."""

    def page(self) -> None:
        """Gives None."""

    def how_to_open(self) -> None:
        """Gives None."""

"""Tracking that records nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from seqsweep.outcome import Outcome
from seqsweep.process.messages import Point
from seqsweep.tracking.base import Run, RunRecord, Tracking


class NoRun(Run):
    """A run of which nothing is kept."""

    id = ""

    def log(self, points: Iterable[Point]) -> None:
        """Does nothing."""

    def tag(self, tags: Mapping[str, str]) -> None:
        """Does nothing."""

    def add_file(self, path: Path) -> None:
        """Does nothing."""

    def add_text(self, text: str, file_name: str) -> None:
        """Does nothing."""

    def add_model(self, folder: Path, results: Iterable[Point]) -> None:
        """Does nothing."""

    def end(self, outcome: Outcome) -> None:
        """Does nothing."""


class NoTracking(Tracking):
    """A store that keeps nothing."""

    def start(self, record: RunRecord) -> NoRun:
        """Gives a run of which nothing is kept."""
        return NoRun()

    def run(self, run_id: str) -> NoRun:
        """Gives a run of which nothing is kept."""
        return NoRun()

    def reopen(self, run_id: str) -> NoRun:
        """Gives a run of which nothing is kept."""
        return NoRun()

    def running(self, study: str) -> list[Run]:
        """Gives none."""
        return []

    def page(self) -> None:
        """Gives None."""

    def how_to_open(self) -> None:
        """Gives None."""

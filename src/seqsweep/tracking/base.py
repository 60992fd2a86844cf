"""What a tracking store can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from seqsweep.outcome import Outcome
from seqsweep.process.messages import Point


@dataclass(frozen=True)
class RunRecord:
    """What is known of a run before it starts; `parent` is the id of the sweep's run."""

    name: str
    parent: str | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


class Run(ABC):
    """One run of the store. All but `end` may be called after its end too, and from any thread."""

    id: str

    @abstractmethod
    def log(self, points: Iterable[Point]) -> None:
        """Adds points to curves."""

    @abstractmethod
    def tag(self, tags: Mapping[str, str]) -> None:
        """Sets tags."""

    @abstractmethod
    def add_file(self, path: Path) -> None:
        """Keeps a copy of the file `path`."""

    @abstractmethod
    def add_text(self, text: str, file_name: str) -> None:
        """Keeps `text` as a file of that name."""

    @abstractmethod
    def add_model(self, folder: Path, results: Iterable[Point]) -> str | None:
        """Keeps the MLflow model in `folder`; gives its id.

        The `results` are logged as points of the run that belong to this model.
        """

    @abstractmethod
    def end(self, outcome: Outcome) -> None:
        """Closes the run in the state that `outcome` says; once."""


class Tracking(ABC):
    """An open store."""

    @abstractmethod
    def start(self, record: RunRecord) -> Run:
        """Opens a run."""

    @abstractmethod
    def run(self, run_id: str) -> Run:
        """Gives the run of that id, ended or not."""

    @abstractmethod
    def reopen(self, run_id: str) -> Run | None:
        """Gives an ended run as one that goes on; None where the store has none of that id."""

    @abstractmethod
    def running(self, study: str) -> list[Run]:
        """Gives the runs of a study's trials that have not ended."""

    @abstractmethod
    def page(self) -> str | None:
        """Gives the address of the runs once they are served; None where nothing is kept."""

    @abstractmethod
    def how_to_open(self) -> str | None:
        """Gives the command that serves the runs; None where none is needed."""

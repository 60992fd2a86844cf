"""What a tracking store can do."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from seqsweep.evaluation import Evaluation
from seqsweep.outcome import Outcome
from seqsweep.process.messages import DataInput, Point, Report

HURRY_S = 1.0  # how long a program that was interrupted, or failed, waits in all for the store
KEY = "seqsweep.key"  # the tag that holds a run's key
SWEEP = "seqsweep.sweep"  # the tag of a trial's run that holds the key of the sweep's
TRIAL = "seqsweep.trial"  # and the one that holds the trial's number
DESCRIPTION = "mlflow.note.content"  # the tag whose Markdown stands on top of a run's page


def new_key() -> str:
    """Gives a key that no run has."""
    return uuid4().hex


@dataclass(frozen=True)
class RunRecord:
    """What is known of a run before it starts; `parent` is the key of the run above it."""

    name: str
    parent: str | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


class Run(ABC):
    """One run of the store.

    All but `end` may be called after its end too, and from any thread. Nothing waits for the store
    but `settle`.

    Attributes:
        key: names the run from before it is started, in the study and among the run's tags.
    """

    key: str

    @property
    @abstractmethod
    def id(self) -> str | None:
        """The store's own name of the run, None where that is not known yet."""

    @property
    @abstractmethod
    def model_id(self) -> str | None:
        """The id of the run's model, None where there is none or it is not known yet."""

    @abstractmethod
    def log(self, points: Iterable[Point]) -> None:
        """Adds points to curves."""

    @abstractmethod
    def tag(self, tags: Mapping[str, str]) -> None:
        """Sets tags."""

    @abstractmethod
    def add_file(self, path: Path, folder: str = "") -> None:
        """Keeps a copy of the file `path`, which must stay there until it is sent.

        It is kept under its own name, in that folder of the run's files.
        """

    @abstractmethod
    def add_data(self, data: Iterable[DataInput]) -> None:
        """Says that the run reads those data sets."""

    @abstractmethod
    def add_text(self, text: str, file_name: str) -> None:
        """Keeps `text` as a file of that name."""

    @abstractmethod
    def add_table(self, path: Path, folder: str = "") -> None:
        """Keeps a copy of the JSON file `path` as a table that the store shows.

        It has `columns` and `data`, a list for each row.
        """

    @abstractmethod
    def add_model(self, folder: Path, results: Iterable[Point]) -> None:
        """Keeps the MLflow model in `folder`, which must stay there until it is sent.

        The `results` are logged as points of the run that belong to this model.
        """

    @abstractmethod
    def register(self, name: str, evaluation: Evaluation) -> None:
        """Makes the run's model a version of the registered model `name`.

        It becomes the champion where there is none, or one of less score on the same data.
        """

    @property
    @abstractmethod
    def registered(self) -> str | None:
        """A sentence on what came of `register`; None where that is not known yet."""

    @property
    @abstractmethod
    def is_sent(self) -> bool:
        """Whether the store has all so far."""

    @abstractmethod
    def end(self, outcome: Outcome) -> None:
        """Closes the run in the state that `outcome` says; once."""

    @abstractmethod
    def settle(self) -> None:
        """Waits a moment for the store to have all so far; not for one that is away.

        Raises:
            TrackingError: the store refused something of this run.
        """


def record(run: Run, report: Report) -> None:
    """Records all that a job reports."""
    run.log(report.points)
    run.add_data(report.data)
    for file in report.files:
        add = run.add_table if file.is_table else run.add_file
        add(file.path, file.folder)


class Tracking(ABC):
    """An open store."""

    @abstractmethod
    def start(self, record: RunRecord, key: str) -> Run:
        """Opens a run with its params and tags, and with that key."""

    @abstractmethod
    def run(self, key: str) -> Run:
        """Gives the run of that key, ended or not."""

    @abstractmethod
    def has(self, key: str) -> bool:
        """Says whether the store has the run of that key."""

    @abstractmethod
    def reopen(self, key: str) -> Run:
        """Gives an ended run as one that goes on."""

    @abstractmethod
    def running(self, sweep: str) -> list[tuple[Run, int]]:
        """Gives the runs of a sweep's trials that have not ended, each with the trial's number.

        `sweep` is the key of the sweep's run.
        """

    @abstractmethod
    def tell(self, listener: Callable[[str], None]) -> None:
        """Lets `listener` hear, a sentence each, that the store is away or back."""

    @abstractmethod
    def flush(self, patience_s: float, *, in_all_s: float = math.inf) -> str | None:
        """Waits for the store to have everything; gives a sentence on what it has not.

        It waits for as long as no `patience_s` go by without progress, and no longer than
        `in_all_s`.
        """

    @abstractmethod
    def refusal(self) -> str | None:
        """Gives a sentence on what the store refused to record."""

    @abstractmethod
    def page(self) -> str | None:
        """Gives the address of the runs once they are served; None where nothing is kept."""

    @abstractmethod
    def how_to_open(self) -> str | None:
        """Gives the command that serves the runs; None where none is needed."""

"""A store that nobody waits for: what is to be recorded lies on disk until the store has it.

A thread of its own sends all in order. A store that cannot be reached, or is slow or restarting,
delays no training and loses nothing. After a failure nobody knows whether the store did what it was
asked for, so it is asked again; every request may be repeated.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import shlex
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from seqsweep.errors import TrackingError
from seqsweep.evaluation import Evaluation
from seqsweep.outcome import Completed, Failed, Outcome, Pruned
from seqsweep.process.messages import DataInput, Point, now_ms
from seqsweep.process.result import storable
from seqsweep.record import counted
from seqsweep.tracking.base import Run, RunRecord, Tracking
from seqsweep.tracking.failures import StoreAway
from seqsweep.tracking.journal import Entry, Journal
from seqsweep.tracking.mlflow import BATCHED, MOST_METRICS, MlflowStore

SETTLE_S = 5.0  # how long the end of a trial waits for a slow store
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0  # between two requests to a store that is away


def _storable(texts: Mapping[str, str]) -> dict[str, str]:
    return {name: storable(text) for name, text in texts.items()}


def _rows(points: Iterable[Point]) -> list[list[Any]]:
    return [[p.name, p.value, p.step, p.time_ms] for p in points]


class OutboxRun(Run):
    """A run whose records go into the outbox."""

    def __init__(self, outbox: Outbox, key: str) -> None:
        self.key = key
        self._outbox = outbox

    @property
    def id(self) -> str | None:
        """The store's own name of the run, None where that is not known yet."""
        return self._outbox.store.ids.get(self.key)

    @property
    def model_id(self) -> str | None:
        """The id of the run's model, None where there is none or it is not known yet."""
        return self._outbox.store.models.get(self.key)

    def log(self, points: Iterable[Point]) -> None:
        """Adds points to curves."""
        if rows := _rows(points):
            self._put("log", points=rows)

    def tag(self, tags: Mapping[str, str]) -> None:
        """Sets tags."""
        self._put("tag", tags=_storable(tags))

    def add_file(self, path: Path, folder: str = "") -> None:
        """Keeps a copy of the file `path`, which must stay there until it is sent."""
        self._put("add_file", path=str(path), folder=folder)

    def add_data(self, data: Iterable[DataInput]) -> None:
        """Says that the run reads those data sets."""
        if inputs := [{**asdict(each), "source": storable(each.source)} for each in data]:
            self._put("add_data", inputs=inputs)

    def add_text(self, text: str, file_name: str) -> None:
        """Keeps `text` as a file of that name."""
        self._put("add_text", text=storable(text), file_name=file_name)

    def add_table(self, path: Path, folder: str = "") -> None:
        """Keeps a copy of the JSON file `path` as a table that MLflow shows."""
        self._put("add_table", path=str(path), folder=folder)

    def add_model(self, folder: Path, results: Iterable[Point]) -> None:
        """Keeps the MLflow model in `folder`, which must stay there until it is sent."""
        self._put("add_model", folder=str(folder), results=_rows(results))

    def register(self, name: str, evaluation: Evaluation) -> None:
        """Makes the run's model a version of the registered model `name`."""
        shown = replace(evaluation, card=storable(evaluation.card))
        self._put("register", name=name, evaluation=asdict(shown))

    @property
    def registered(self) -> str | None:
        """A sentence on what came of `register`; None where that is not known yet."""
        return self._outbox.store.registered.get(self.key)

    @property
    def is_sent(self) -> bool:
        """Whether the store has all so far."""
        return self._outbox.is_sent(self.key)

    def end(self, outcome: Outcome) -> None:
        """Closes the run: completed, pruned, or failed with its reason."""
        match outcome:
            case Completed():
                tags = {"seqsweep.outcome": "completed"}
            case Pruned(step):
                tags = {"seqsweep.outcome": "pruned", "seqsweep.pruned_at": str(step)}
            case Failed(why):
                tags = {"seqsweep.outcome": "failed", "seqsweep.reason": why}
                if outcome.traceback:
                    self.add_text(outcome.traceback, "traceback.txt")
        self._put("end", tags=_storable(tags), time_ms=now_ms())

    def settle(self) -> None:
        """Waits a moment for the store to have all so far; not for one that is away.

        Raises:
            TrackingError: the store refused something of this run.
        """
        self._outbox.settle(self.key)

    def _put(self, what: str, **arguments: object) -> None:
        self._outbox.put(Entry(self.key, what, arguments))


class Outbox(Tracking):
    """What is on its way to `store`; `journal` may hold what an earlier program did not send."""

    def __init__(self, store: MlflowStore, journal: Journal) -> None:
        self.store = store
        self._journal = journal
        self._waiting = deque(journal.load())
        self._refused: dict[str, TrackingError] = {}  # the first of each run
        self._away: StoreAway | None = None
        self._listener: Callable[[str], None] = lambda _sentence: None
        self._changed = threading.Condition()
        threading.Thread(target=self._send, name="outbox", daemon=True).start()

    def start(self, record: RunRecord, key: str) -> OutboxRun:
        """Opens a run with its params and tags, and with that key."""
        arguments = {
            "name": record.name,
            "parent": record.parent,
            "params": _storable(record.params),
            "tags": _storable(record.tags),
            "time_ms": now_ms(),
        }
        self.put(Entry(key, "start", arguments))
        return self.run(key)

    def run(self, key: str) -> OutboxRun:
        """Gives the run of that key, ended or not."""
        return OutboxRun(self, key)

    def has(self, key: str) -> bool:
        """Says whether the store has the run of that key."""
        return self.store.find(key) is not None

    def reopen(self, key: str) -> OutboxRun:
        """Gives an ended run as one that goes on."""
        self.put(Entry(key, "reopen", {}))
        return self.run(key)

    def running(self, sweep: str) -> list[tuple[Run, int]]:
        """Gives the runs of a sweep's trials that have not ended, each with the trial's number."""
        return [(self.run(key), number) for key, number in self.store.running(sweep)]

    def tell(self, listener: Callable[[str], None]) -> None:
        """Lets `listener` hear, a sentence each, that the store is away or back."""
        self._listener = listener

    def page(self) -> str:
        """Gives the address of the runs once they are served."""
        return self.store.experiment.page()

    def how_to_open(self) -> str | None:
        """Gives the command that serves the runs; None where a server does already."""
        return self.store.experiment.how_to_open()

    def put(self, entry: Entry) -> None:
        """Takes what is to be sent.

        Raises:
            TrackingError: it cannot be kept on disk.
        """
        with self._changed:
            self._journal.append(entry)
            self._waiting.append(entry)
            self._changed.notify_all()

    def is_sent(self, key: str) -> bool:
        """Says whether the store has all so far of a run."""
        with self._changed:
            return all(entry.run != key for entry in self._waiting)

    def settle(self, key: str) -> None:
        """Waits a moment for the store to have all so far of a run; not for one that is away.

        Raises:
            TrackingError: the store refused something of this run.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._away or self.is_sent(key), SETTLE_S)
            if key in self._refused:
                raise self._refused[key]

    def flush(self, patience_s: float, *, in_all_s: float = math.inf) -> str | None:
        """Waits for the store to have everything; gives a sentence on what it has not."""
        end = time.monotonic() + in_all_s
        with self._changed:
            while count := len(self._waiting):
                left_s = min(patience_s, end - time.monotonic())
                if not self._changed.wait_for(lambda n=count: len(self._waiting) != n, left_s):
                    return self._unsent()
        return None

    def refusal(self) -> str | None:
        """Gives a sentence on what the store refused to record."""
        if not self._refused:
            return None
        first = next(iter(self._refused.values()))
        return f"the records of {counted(len(self._refused), 'run')} are not whole: {first}"

    def _unsent(self) -> str:
        records = counted(len(self._waiting), "record")
        runs = counted(len({entry.run for entry in self._waiting}), "run")
        why = self._away or "the MLflow store is slow"
        send = [sys.executable, "-m", "seqsweep.tracking.send", str(self._journal.path)]
        how = f"later send them with `{shlex.join(send)}`"
        return f"{records} of {runs} could not be sent: {why}; {how}"

    def _send(self) -> None:
        """Sends what waits, in order, for as long as the program runs."""
        pause_s, n_alone = 0.0, 0
        is_doubtful = bool(self._waiting)  # an earlier program may have sent it
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                entries = self._together() if n_alone == 0 else [self._waiting[0]]
            try:
                self.store.do(entries, is_doubtful=is_doubtful)
            except StoreAway as error:
                is_doubtful = True
                pause_s = min(max(2 * pause_s, FIRST_PAUSE_S), LONGEST_PAUSE_S)
                self._has_failed(error)
                time.sleep(pause_s)
                continue
            except TrackingError as error:
                if len(entries) > 1:  # one of them is at fault
                    n_alone = len(entries)
                    continue
                self._refused.setdefault(entries[0].run, error)
            pause_s, n_alone = 0.0, max(0, n_alone - 1)
            is_doubtful = self._has_sent(len(entries)) and is_doubtful

    def _together(self) -> list[Entry]:
        """Gives the first entry that waits, with those of its run that can be sent with it."""
        first, *rest = itertools.islice(self._waiting, MOST_METRICS)
        entries, n_points = [first], len(first.arguments.get("points", ()))
        for entry in rest if first.what in BATCHED else ():
            n_points += len(entry.arguments.get("points", ()))
            is_over = entries[-1].what == "end" or n_points > MOST_METRICS
            if is_over or entry.what not in BATCHED or entry.run != first.run:
                break
            entries.append(entry)
        return entries

    def _has_failed(self, error: StoreAway) -> None:
        with self._changed:
            is_news, self._away = self._away is None, error
            self._changed.notify_all()
        if is_news:
            self._say(f"{error}; what it is to record waits in {self._journal.path}")

    def _has_sent(self, count: int) -> bool:
        """Forgets the first `count` entries; says whether more wait."""
        with self._changed:
            is_back, self._away = self._away is not None, None
            for _ in range(count):
                self._waiting.popleft()
            if not self._waiting:
                with contextlib.suppress(OSError):  # then it is sent once more, which does no harm
                    self._journal.clear()
            more = bool(self._waiting)
            self._changed.notify_all()
        if is_back:
            self._say("the MLflow store is back")
        return more

    def _say(self, sentence: str) -> None:
        with contextlib.suppress(Exception):  # a terminal that is gone must not end the sending
            self._listener(sentence)

"""What a person sees while a sweep runs: a line for each finished trial, a bar for each slot."""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from seqsweep.outcome import Completed, Failed, Outcome, Pruned
from seqsweep.process.messages import HIGH, LOW, Report
from seqsweep.record import duration
from seqsweep.secrets import masked_values
from seqsweep.terminal import is_live

STYLES = {Completed: "green", Pruned: "yellow", Failed: "red"}
WORDS = {Completed: "completed", Pruned: "pruned", Failed: "failed"}


def short_names(keys: Mapping[str, Any]) -> dict[str, str]:
    """Gives each dotted key its last word, or itself where two share one."""
    words = [key.lstrip("+").rsplit(".", 1)[-1] for key in keys]
    return {
        key: word if words.count(word) == 1 else key.lstrip("+")
        for key, word in zip(keys, words, strict=True)
    }


def show(value: Any) -> str:
    """Writes a number with four digits, anything else as it is."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def show_params(params: Mapping[str, Any]) -> str:
    """Writes parameters on one line, without secrets."""
    names = short_names(params)
    shown = masked_values(dict(params))
    return " ".join(f"{names[key]}={show(value)}" for key, value in shown.items())


def show_values(names: Sequence[str], values: Sequence[float]) -> str:
    """Writes metrics with their names."""
    return " ".join(f"{n} {show_value(value)}" for n, value in zip(names, values, strict=True))


def show_value(value: float) -> str:
    """Writes a metric with four digits behind the point, a large or whole one with six in all."""
    is_count = abs(value) >= 10 and value == round(value)
    return f"{value:.6g}" if is_count or abs(value) >= 1000 else f"{value:.4f}"


def show_scores(scores: Mapping[str, float]) -> str:
    """Writes metrics with their names, each with its 95% interval where that is among them."""
    return ", ".join(
        f"{name} {show_value(value)}{_between(scores.get(name + LOW), scores.get(name + HIGH))}"
        for name, value in scores.items()
        if not name.endswith((LOW, HIGH))
    )


def _between(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return ""
    return f" (95%: {show_value(low)} to {show_value(high)})"


def show_outcome(outcome: Outcome, names: Sequence[str]) -> str:
    """Writes an outcome in a few words."""
    match outcome:
        case Completed(values):
            return f"completed  {show_values(names, values)}"
        case Pruned(step):
            return f"pruned at {step}"
        case Failed(reason):
            return f"failed: {reason}"


class _Bars(Progress):
    """Bars below a line that tells of the best trial so far."""

    best = ""

    def get_renderables(self) -> Iterator[RenderableType]:
        if self.best:
            yield Text.from_markup(self.best, overflow="ellipsis")
        yield self.make_tasks_table(self.tasks)


class Shown:
    """A trial on the screen."""

    def __init__(self, display: Display, number: int, params: Mapping[str, Any], bar: TaskID):
        self._display = display
        self._number = number
        self._params = params
        self._bar = bar
        self._started = time.monotonic()

    def progressed(self, report: Report) -> None:
        """Moves the trial's bar."""
        self._display.move(self._bar, report)

    def ended(
        self,
        outcome: Outcome,
        *,
        best: bool,
        retry_of: int | None = None,
        is_retried: bool = False,
        seconds: float | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        """Prints how the trial ended.

        `seconds` and `params` are for one that was shown later than it began.
        """
        label = f"{self._number}" if retry_of is None else f"{self._number} (again {retry_of})"
        seconds = time.monotonic() - self._started if seconds is None else seconds
        params = params or self._params
        self._display.print(label, outcome, seconds, params, best=best, is_retried=is_retried)


class Display:
    """Shows a sweep of `total` trials; a context manager, called from the threads of the slots."""

    def __init__(
        self,
        console: Console,
        *,
        total: int | None,
        names: Sequence[str],
        n_slots: int,
        n_done: int = 0,
    ) -> None:
        self._console = console
        self._total = total
        self._names = names
        self._n_slots = n_slots
        self._n_done_before = n_done
        self._best_word = "best so far" if len(names) == 1 else "on the front"
        self._counts: collections.Counter[str] = collections.Counter()
        self._seconds = 0.0  # that the ended trials took
        self._lock = threading.Lock()
        self._progress = _Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[says]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not is_live(console),
        )
        self._whole = self._progress.add_task("sweep", total=total, says="")

    def __enter__(self) -> Display:
        self._progress.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._progress.stop()

    @contextmanager
    def trial(self, number: int, slot: str, params: Mapping[str, Any]) -> Iterator[Shown]:
        """Shows a bar for the trial while in this block."""
        says = escape(show_params(params))
        bar = self._progress.add_task(f"{slot}  trial {number}", total=None, says=says)
        with self._lock:
            self._counts["running"] += 1
            self._move_whole()
        try:
            yield Shown(self, number, params, bar)
        finally:
            self._progress.remove_task(bar)

    def note(self, text: str) -> None:
        """Prints a line that is about the whole sweep."""
        self._console.print(f"[yellow]{escape(text)}[/]", highlight=False, soft_wrap=True)

    def move(self, bar: TaskID, report: Report) -> None:
        """Moves the bar of a trial."""
        fields: dict[str, Any] = {}
        if report.done is not None:
            fields |= {"completed": report.done, "total": 1.0}
        if report.judge is not None:
            metrics = report.judge.metrics
            fields["says"] = escape(show_values(list(metrics), list(metrics.values())))
        self._progress.update(bar, **fields)

    def print(
        self,
        label: str,
        outcome: Outcome,
        seconds: float,
        params: Mapping[str, Any],
        *,
        best: bool,
        is_retried: bool,
    ) -> None:
        """Prints the line of a trial that has ended, and counts it unless it is tried again."""
        kind = next(kind for kind in STYLES if isinstance(outcome, kind))
        text = escape(show_outcome(outcome, self._names))
        text += "; to be tried again" if is_retried else ""
        shown = escape(show_params(params))
        with self._lock:
            self._counts["running"] -= 1
            if not is_retried:
                self._counts[WORDS[kind]] += 1
                self._seconds += seconds
            done = self._n_done_before + self._done()
            if best:
                values = text.removeprefix("completed  ")
                self._progress.best = f"best   trial {label}  {values}  [dim]{shown}[/]"
            self._move_whole()
            width = len(str(self._total or ""))
            of = f"{done:{width}}/{self._total}" if self._total else f"{done}"
            self._console.print(
                escape(f"[{of}] trial {label:<{width}}"),
                f"[{STYLES[kind]}]{text}[/]{f' [bold]({self._best_word})[/]' if best else ''}",
                f" {seconds:.1f} s  [dim]{shown}[/]",
                highlight=False,
                soft_wrap=True,
            )

    def _done(self) -> int:
        return sum(self._counts[word] for word in WORDS.values())

    def _move_whole(self) -> None:
        done = self._done()
        says = ", ".join(f"{count} {word}" for word, count in self._counts.items() if count)
        if self._total and done:
            left = max(0, self._total - self._n_done_before - done)
            left *= self._seconds / done / self._n_slots
            says += f"; about {duration(left)} left"
        self._progress.update(self._whole, completed=self._n_done_before + done, says=says)

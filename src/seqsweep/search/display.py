"""What a person sees while a sweep runs: a line for each finished trial, a bar for each slot."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from seqsweep.outcome import Completed, Failed, Outcome, Pruned
from seqsweep.process.messages import Report
from seqsweep.terminal import is_live

Say = Callable[..., None]


def short_names(keys: Mapping[str, Any]) -> dict[str, str]:
    """Gives each dotted key its last word, or itself where two share one."""
    words = [key.rsplit(".", 1)[-1] for key in keys]
    return {
        key: word if words.count(word) == 1 else key for key, word in zip(keys, words, strict=True)
    }


def show(value: Any) -> str:
    """Writes a number with four digits, anything else as it is."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def show_params(params: Mapping[str, Any]) -> str:
    """Writes parameters on one line."""
    names = short_names(params)
    return " ".join(f"{names[key]}={show(value)}" for key, value in params.items())


def show_outcome(outcome: Outcome, metric: str) -> str:
    """Writes an outcome in a few words."""
    match outcome:
        case Completed(values):
            return f"completed  {metric} " + " ".join(f"{value:.4f}" for value in values)
        case Pruned(step):
            return f"pruned at {step}"
        case Failed(reason):
            return f"failed: {reason}"


class Display:
    """Shows a sweep of `total` trials; a context manager, called from the threads of the slots."""

    def __init__(self, console: Console, *, total: int, metric: str) -> None:
        self._console = console
        self._total = total
        self._metric = metric
        self._done = 0
        self._lock = threading.Lock()
        self._bars: dict[int, TaskID] = {}
        self._progress = Progress(
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
    def trial(self, number: int, slot: str, params: Mapping[str, Any]) -> Iterator[Say]:
        """Shows a bar for the trial; the function it gives prints how the trial ended."""
        started = time.monotonic()
        shown = escape(show_params(params))
        bar = self._progress.add_task(f"trial {number} on {slot}", total=1.0, says=shown)
        self._bars[number] = bar

        def say(outcome: Outcome, *, best: bool) -> None:
            self._say(number, outcome, time.monotonic() - started, shown, best=best)

        try:
            yield say
        finally:
            self._progress.remove_task(self._bars.pop(number))

    def progressed(self, number: int, report: Report) -> None:
        """Moves the bar of a trial."""
        fields = {}
        if report.judge is not None:
            fields["says"] = " ".join(f"{k} {v:.4f}" for k, v in report.judge.metrics.items())
        self._progress.update(self._bars[number], completed=report.done, **fields)

    def _say(
        self, number: int, outcome: Outcome, seconds: float, params: str, *, best: bool
    ) -> None:
        style = {Completed: "green", Pruned: "yellow", Failed: "red"}[type(outcome)]
        width = len(str(self._total))
        with self._lock:
            self._done += 1
            self._progress.update(self._whole, completed=self._done)
            self._console.print(
                escape(f"[{self._done:{width}}/{self._total}] trial {number:<{width}}"),
                f"[{style}]{escape(show_outcome(outcome, self._metric))}[/]"
                f"{' [bold](best so far)[/]' if best else ''}",
                f" {seconds:.1f} s  [dim]{params}[/]",
                highlight=False,
                soft_wrap=True,
            )

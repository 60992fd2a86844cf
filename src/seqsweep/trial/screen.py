"""What a person sees of a single run: a bar, or the lines of TensorFlow's old tutorial."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from seqsweep.config import Config
from seqsweep.terminal import is_live

if TYPE_CHECKING:
    from seqsweep.trial.kept import Scores, Trained


class Screen(ABC):
    """Shows one training; a context manager around it."""

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *_exception: object) -> None:
        return None

    @abstractmethod
    def point(self, samples: int, metrics: dict[str, float], done: float) -> None:
        """Shows a point of the training curves."""

    @abstractmethod
    def validated(self, number: int, metrics: dict[str, float], done: float) -> None:
        """Shows a validation."""

    @abstractmethod
    def tested(self, trained: Trained, scores: Scores) -> None:
        """Shows the test, once, after the end."""


def open_screen(config: Config, console: Console) -> Screen:
    """Gives the screen that `training.display` names."""
    if config.training.display == "lines":
        return Lines()
    return Bar(console, config.objective[0])


class Bar(Screen):
    """A bar where the terminal can redraw, and a line for each validation."""

    def __init__(self, console: Console, objective: str) -> None:
        self._console = console
        self._objective = objective
        self._progress = Progress(
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}% {task.description}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not is_live(console),
        )
        self._task = self._progress.add_task("", total=1.0)

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._progress.stop()

    def point(self, samples: int, metrics: dict[str, float], done: float) -> None:
        """Moves the bar."""
        self._progress.update(self._task, completed=done, description=written(metrics))

    def validated(self, number: int, metrics: dict[str, float], done: float) -> None:
        """Prints a line."""
        self._console.print(f"{done:4.0%}  {written(metrics)}", highlight=False)

    def tested(self, trained: Trained, scores: Scores) -> None:
        """Prints the validation whose weights were kept, and the test."""
        kept = f"{self._objective} {trained.value:.4f} at validation {trained.at}"
        self._console.print(f"kept  {kept}", highlight=False)
        self._console.print(f"test  {written(scores.named('test'))}", highlight=False)


class Lines(Screen):
    """The lines of the tutorial, on plain standard output."""

    def point(self, samples: int, metrics: dict[str, float], done: float) -> None:
        """Prints the loss and the accuracy on the batch just used."""
        loss, accuracy = metrics["train_loss"], metrics["train_accuracy"]
        print(
            f"Iter {samples}, Minibatch Loss= {loss:.6f}, Training Accuracy= {accuracy:.5f}",
            flush=True,
        )

    def validated(self, number: int, metrics: dict[str, float], done: float) -> None:
        """Prints nothing: the tutorial had no validation."""

    def tested(self, trained: Trained, scores: Scores) -> None:
        """Prints the end."""
        print("Optimization Finished!")
        print("Testing Accuracy:", scores.accuracy, flush=True)


def written(metrics: dict[str, float]) -> str:
    """Writes metrics on one line."""
    return "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())

"""To whom a training tells how it goes."""

from __future__ import annotations

from abc import ABC, abstractmethod

from seqsweep.process.channel import Channel
from seqsweep.process.messages import Point


class Reporter(ABC):
    """Hears of the model, of each point of the curves and of each validation."""

    @abstractmethod
    def described(self, facts: dict[str, float]) -> None:
        """Takes what is known of the model before it trains, as its number of parameters."""

    @abstractmethod
    def point(self, samples: int, metrics: dict[str, float], *, done: float) -> None:
        """Takes the training metrics after so many samples, at the fraction `done` of them."""

    @abstractmethod
    def validated(
        self, number: int, samples: int, metrics: dict[str, float], *, done: float
    ) -> bool:
        """Takes the metrics of validation `number`; gives True where the training is to stop."""


class Recorder(Reporter):
    """Keeps the points in memory, as `(samples, name, value)`; never stops a training."""

    def __init__(self) -> None:
        self.points: list[tuple[int, str, float]] = []

    def described(self, facts: dict[str, float]) -> None:
        """Keeps the facts as points before the first step."""
        self.point(0, facts, done=0.0)

    def point(self, samples: int, metrics: dict[str, float], *, done: float) -> None:
        """Keeps the metrics."""
        self.points += [(samples, name, value) for name, value in metrics.items()]

    def validated(
        self, number: int, samples: int, metrics: dict[str, float], *, done: float
    ) -> bool:
        """Keeps the metrics; gives False."""
        self.point(samples, metrics, done=done)
        return False


class Curves:
    """Points that wait to be sent together."""

    def __init__(self) -> None:
        self._points: list[Point] = []

    def add(self, samples: int, metrics: dict[str, float]) -> None:
        """Adds a point for each metric."""
        self._points += [Point(name, value, samples) for name, value in metrics.items()]

    def take(self) -> tuple[Point, ...]:
        """Gives all points, and forgets them."""
        points, self._points = tuple(self._points), []
        return points


class ChannelReporter(Reporter):
    """Sends the curves up the trial's pipe, in batches, and passes on the pruner's answer."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._curves = Curves()

    def described(self, facts: dict[str, float]) -> None:
        """Keeps the facts until the first validation."""
        self._curves.add(0, facts)

    def point(self, samples: int, metrics: dict[str, float], *, done: float) -> None:
        """Keeps the metrics until the next validation."""
        self._curves.add(samples, metrics)

    def validated(
        self, number: int, samples: int, metrics: dict[str, float], *, done: float
    ) -> bool:
        """Sends all points; gives True where the pruner says stop."""
        self._curves.add(samples, metrics)
        return self._channel.ask(self._curves.take(), step=number, metrics=metrics, done=done)

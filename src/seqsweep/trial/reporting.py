"""To whom a training tells how it goes."""

from __future__ import annotations

from abc import ABC, abstractmethod

from seqsweep.process.channel import Channel
from seqsweep.process.messages import Point


class Reporter(ABC):
    """Hears of each point of the curves and of each validation."""

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

    def point(self, samples: int, metrics: dict[str, float], *, done: float) -> None:
        """Keeps the metrics."""
        self.points += [(samples, name, value) for name, value in metrics.items()]

    def validated(
        self, number: int, samples: int, metrics: dict[str, float], *, done: float
    ) -> bool:
        """Keeps the metrics; gives False."""
        self.point(samples, metrics, done=done)
        return False


class ChannelReporter(Reporter):
    """Sends the curves up the trial's pipe, in batches, and passes on the pruner's answer."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._waiting: list[Point] = []

    def point(self, samples: int, metrics: dict[str, float], *, done: float) -> None:
        """Keeps the metrics until the next validation."""
        self._waiting += [Point(name, value, samples) for name, value in metrics.items()]

    def validated(
        self, number: int, samples: int, metrics: dict[str, float], *, done: float
    ) -> bool:
        """Sends all points; gives True where the pruner says stop."""
        self.point(samples, metrics, done=done)
        points, self._waiting = tuple(self._waiting), []
        return self._channel.ask(points, step=number, metrics=metrics, done=done)

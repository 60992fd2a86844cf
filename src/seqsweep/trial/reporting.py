"""To whom a training tells how it goes."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from seqsweep.process.channel import Channel, TrialPruned
from seqsweep.process.messages import Judge, Point, Report


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

    def waiting(self) -> tuple[Point, ...]:
        """Gives all points, and keeps them."""
        return tuple(self._points)

    def put(self, points: Iterable[Point]) -> None:
        """Takes points as they are."""
        self._points += points


class ChannelReporter(Reporter):
    """Sends the curves up the trial's pipe, in batches, and passes on the pruner's answer."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._curves = Curves()
        self._sent: list[Report] = []

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
        return self._send(Report(self._curves.take(), Judge(number, metrics), done))

    def told(self) -> dict[str, Any]:
        """Gives all that it was told, sent or waiting, as plain values."""
        sent = [dataclasses.asdict(report) for report in self._sent]
        return {"sent": sent, "waiting": [dataclasses.asdict(p) for p in self._curves.waiting()]}

    def tell_again(self, told: dict[str, Any]) -> None:
        """Sends it again, each point with its own time, and keeps what waited.

        Raises:
            TrialPruned: the answer was stop.
        """
        for report in told["sent"]:
            points = tuple(Point(**point) for point in report["points"])
            judge = Judge(**report["judge"])
            if self._send(Report(points, judge, report["done"])):
                raise TrialPruned(f"at validation {judge.step}")
        self._curves.put(Point(**point) for point in told["waiting"])

    def _send(self, report: Report) -> bool:
        self._sent.append(report)
        judge = report.judge
        return self._channel.ask(
            report.points, step=judge.step, metrics=judge.metrics, done=report.done
        )

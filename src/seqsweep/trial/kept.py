"""Which weights a training ends with, and when it has gone on for long enough."""

from __future__ import annotations

import dataclasses
import math
import statistics
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from seqsweep.config import Config
from seqsweep.process.messages import HIGH, LOW


@dataclass(frozen=True)
class Scores:
    """Mean cross-entropy in nats and the fraction classified right."""

    loss: float
    accuracy: float

    def named(self, prefix: str) -> dict[str, float]:
        """Gives both by the names of their curves, as `val_loss`."""
        return {f"{prefix}_loss": self.loss, f"{prefix}_accuracy": self.accuracy}

    def tested(self, n: int) -> dict[str, float]:
        """Gives both as those of `n` test images, and the 95% interval of the accuracy."""
        low, high = wilson(round(self.accuracy * n), n)
        interval = {f"test_accuracy{LOW}": low, f"test_accuracy{HIGH}": high}
        return {**self.named("test"), **interval}


def wilson(right: int, n: int) -> tuple[float, float]:
    """Gives Wilson's 95% interval of a share, of which `right` of `n` were seen.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927. Near
    0 and 1, where good classifiers are, it covers what it says; the normal one does not.
    """
    z = statistics.NormalDist().inv_cdf(0.975)
    share, scale = right / n, 1 + z**2 / n
    middle = (share + z**2 / (2 * n)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True)
class Trained:
    """A trained model with the objectives' values for its weights, those of validation `at`."""

    model: keras.Model
    values: tuple[float, ...]
    at: int

    @property
    def value(self) -> float:
        """The value of the first objective, for which the weights were kept."""
        return self.values[0]


class Kept:
    """The validation whose weights the training ends with: the best one so far, or the last."""

    def __init__(self, config: Config) -> None:
        self._objectives = config.objective
        self._restore = config.training.restore_best
        self._patience = config.training.patience
        self._best = self._last = Scores(math.nan, math.nan)
        self._best_at = self._last_at = 0
        self._weights: list[np.ndarray] = []

    def see(self, number: int, scores: Scores, model: keras.Model) -> None:
        """Takes validation `number`."""
        self._last, self._last_at = scores, number
        if self._best_at == 0 or self._rank(scores) > self._rank(self._best):
            self._best, self._best_at = scores, number
            if self._restore:
                self._weights = model.get_weights()

    def is_over(self) -> bool:
        """Says whether the last `patience` validations brought nothing better."""
        return self._patience is not None and self._last_at - self._best_at >= self._patience

    def trained(self, model: keras.Model) -> Trained:
        """Gives the model, with its best weights where they are to be restored."""
        scores, at = self._last, self._last_at
        if self._restore:
            model.set_weights(self._weights)
            scores, at = self._best, self._best_at
        named = {**scores.named("val"), "n_parameters": float(model.count_params())}
        return Trained(model, tuple(named[name] for name in self._objectives), at)

    def state(self) -> dict[str, Any]:
        """Gives what `restore` needs."""
        return {
            "best": dataclasses.astuple(self._best),
            "best_at": self._best_at,
            "last": dataclasses.astuple(self._last),
            "last_at": self._last_at,
            "weights": self._weights,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Puts everything as it was when `state` was taken."""
        self._best, self._best_at = Scores(*state["best"]), state["best_at"]
        self._last, self._last_at = Scores(*state["last"]), state["last_at"]
        self._weights = state["weights"]

    def _rank(self, scores: Scores) -> float:
        return -scores.loss if self._objectives[0] == "val_loss" else scores.accuracy

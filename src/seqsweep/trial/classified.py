"""How a model classified images, class by class."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Classified:
    """What a model said of n images.

    Attributes:
        truth: the labels, int (n,), from 0 to `n_classes` - 1.
        said: the most probable class of each, int (n,).
        confidence: its probability, float (n,).
    """

    truth: np.ndarray
    said: np.ndarray
    confidence: np.ndarray
    n_classes: int

    @classmethod
    def of(cls, truth: np.ndarray, logits: np.ndarray) -> Classified:
        """Gives it from the model's logits, float (n, n_classes)."""
        said = logits.argmax(axis=1)
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return cls(truth, said, 1 / weights.sum(axis=1), logits.shape[1])

    @cached_property
    def confusion(self) -> np.ndarray:
        """The counts, int (n_classes, n_classes), of each class (rows) that it said (columns)."""
        places = self.truth.astype(np.int64) * self.n_classes + self.said
        counts = np.bincount(places, minlength=self.n_classes**2)
        return counts.reshape(self.n_classes, self.n_classes)

    @property
    def precision(self) -> np.ndarray:
        """Of what it said was of a class, the fraction that is; 0 where it never said it."""
        return _fraction(self.confusion.diagonal(), self.confusion.sum(axis=0))

    @property
    def recall(self) -> np.ndarray:
        """Of the images of a class, the fraction that it said are; 0 where there is none."""
        return _fraction(self.confusion.diagonal(), self.confusion.sum(axis=1))

    def mistakes(self, most: int) -> np.ndarray:
        """Gives the indices of up to `most` images that it got wrong, the surest one first."""
        wrong = np.flatnonzero(self.said != self.truth)
        return wrong[np.argsort(-self.confidence[wrong], kind="stable")][:most]


def _fraction(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)

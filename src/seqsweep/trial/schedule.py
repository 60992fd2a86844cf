"""When a training shows its curve, validates and ends, and in which order it reads the images."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqsweep.config import TrainingConfig


@dataclass(frozen=True)
class Stretch:
    """Gradient steps up to and with number `end`, and what follows them.

    `validation` is the number of the validation, from 1, or None.
    """

    end: int
    display: bool
    validation: int | None


@dataclass(frozen=True)
class Schedule:
    """The plan of one training over `n_train` images."""

    config: TrainingConfig
    n_train: int

    @property
    def n_steps(self) -> int:
        """How many gradient steps there are: the smaller of what the two limits allow.

        `epochs` are passed whole. `training_iters` is as TensorFlow's tutorial had it: a step
        is taken while `step * batch_size < training_iters`, counted from 1.
        """
        batch, limits = self.config.batch_size, []
        if self.config.epochs is not None:
            limits.append(math.ceil(self.config.epochs * self.n_train / batch))
        if self.config.training_iters is not None:
            limits.append((self.config.training_iters - 1) // batch)
        return min(limits)

    def stretches(self, *, after: int = 0) -> Iterator[Stretch]:
        """Gives the stretches that end after step `after`, in order.

        The last one of a training ends in a validation.
        """
        validations = self._validation_steps()
        shown = set(range(self.config.display_step, self.n_steps + 1, self.config.display_step))
        for end in sorted(end for end in shown | validations.keys() if end > after):
            yield Stretch(end, end in shown, validations.get(end))

    def _validation_steps(self) -> dict[int, int]:
        """Gives each validation's number, from 1, by its step: the first that reaches its due."""
        every = self.config.validate_every * self.n_train / self.config.batch_size
        passed = [math.floor(step / every + 1e-9) for step in range(self.n_steps + 1)]
        due = [step for step in range(1, self.n_steps + 1) if passed[step] > passed[step - 1]]
        if self.n_steps not in due[-1:]:
            due.append(self.n_steps)  # the last weights are always seen
        return {step: number for number, step in enumerate(due, 1)}


class Batches:
    """Mini-batches of constant size, the next after the last, shuffled anew each time round.

    A batch may hold the end of one pass and the start of the next; each pass holds each image once.
    """

    def __init__(self, n_train: int, batch_size: int, seed: int) -> None:
        self._n_train = n_train
        self._batch_size = batch_size
        self._random = np.random.default_rng(seed)
        self._waiting = np.empty(0, np.int32)

    def take(self, n_steps: int) -> np.ndarray:
        """Gives the indices of the next images, int32 of shape (n_steps, batch_size)."""
        wanted = n_steps * self._batch_size
        parts, held = [self._waiting], len(self._waiting)
        while held < wanted:
            parts.append(self._random.permutation(self._n_train).astype(np.int32))
            held += self._n_train
        indices = np.concatenate(parts)
        self._waiting = indices[wanted:]
        return indices[:wanted].reshape(n_steps, self._batch_size)

    def state(self) -> dict[str, Any]:
        """Gives what `restore` needs."""
        return {"random": self._random.bit_generator.state, "waiting": self._waiting}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on as it would have when `state` was taken."""
        self._random.bit_generator.state = state["random"]
        self._waiting = state["waiting"]

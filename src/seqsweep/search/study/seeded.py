"""Sampling that does not depend on which of several slots is faster."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState


class SeededByNumber(BaseSampler):
    """A sampler of its own for each trial, seeded by the trial's number.

    With several slots Optuna gives its sampler a new random seed before each trial, so that one
    seed would stand for nothing. Here a trial's number says what chance deals it. What a sampler
    learns from other trials depends on which of them have ended; only that still goes by timing.
    """

    def __init__(self, make: Callable[[int], BaseSampler]) -> None:
        self._make = make
        self._samplers: dict[int, BaseSampler] = {}
        self._relative = threading.Lock()

    def _of(self, trial: FrozenTrial) -> BaseSampler:
        if trial.number not in self._samplers:
            self._samplers[trial.number] = self._make(trial.number)
        return self._samplers[trial.number]

    def reseed_rng(self) -> None:
        """Does nothing: the seed stands."""

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Asks the trial's sampler."""
        return self._of(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Asks the trial's sampler, one trial after the other.

        QMC reads its place in the sequence and writes the next one: two at once would get the same.
        """
        with self._relative:
            return self._of(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any
    ) -> Any:
        """Asks the trial's sampler."""
        return self._of(trial).sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Tells the trial's sampler."""
        self._of(trial).before_trial(study, trial)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Tells the trial's sampler, for the last time."""
        self._of(trial).after_trial(study, trial, state, values)
        del self._samplers[trial.number]

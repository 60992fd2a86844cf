"""How sure the mean over a trial's seeds is."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial

CONFIDENCE = 0.95
BY_SEED = "values_by_seed"  # a trial's attribute: its values under each seed


@dataclass(frozen=True)
class Interval:
    """A mean, and half the width of its confidence interval; NaN of a single value."""

    mean: float
    half_width: float


def interval(values: Sequence[float]) -> Interval:
    """Gives the mean with its 95% interval, from Student's t with n - 1 degrees of freedom.

    It is right for values that are drawn independently from one normal distribution.
    """
    from scipy.special import stdtrit  # here: most sweeps repeat nothing

    n, mean = len(values), statistics.fmean(values)
    if n < 2:
        return Interval(mean, math.nan)
    quantile = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2))
    return Interval(mean, quantile * statistics.stdev(values) / math.sqrt(n))


def paired(first: Mapping[str, float], second: Mapping[str, float]) -> Interval:
    """Gives how much larger the second is, seed by seed; both have the same seeds.

    What a seed decides, as the order of the data, cancels out.
    """
    return interval([second[seed] - first[seed] for seed in first])


def by_seed(trial: FrozenTrial, objective: int = 0) -> dict[str, float]:
    """Gives a trial's values of one objective by seed; none where it was not repeated."""
    values = trial.user_attrs.get(BY_SEED, {})
    return {seed: of_seed[objective] for seed, of_seed in values.items()}

"""Trials as anybody may see them: without the secrets among their values."""

from __future__ import annotations

import collections
import copy
from collections.abc import Iterable, Sequence
from typing import Any

from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial

from seqsweep.secrets import masked_values


def without_secrets(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """Gives the trials with each secret value masked, in the choices that it is one of too.

    Two choices that would look the same are told apart by their places. A list is shown as text, as
    Optuna draws plain values only.
    """
    shown: dict[tuple[str, str], Sequence[Any]] = {}

    def choices_of(key: str, distribution: CategoricalDistribution) -> Sequence[Any]:
        name = key, repr(distribution.choices)  # choices may be lists, which have no hash
        if name not in shown:
            shown[name] = _masked(key, distribution.choices)
        return shown[name]

    return [_shown(trial, choices_of) for trial in trials]


def _shown(trial: FrozenTrial, choices_of: Any) -> FrozenTrial:
    params, distributions = {}, {}
    for key, distribution in trial.distributions.items():
        if isinstance(distribution, CategoricalDistribution):
            choices = choices_of(key, distribution)
            if choices != distribution.choices:
                index = int(distribution.to_internal_repr(trial.params[key]))
                params[key] = choices[index]
                distributions[key] = CategoricalDistribution(choices)
    if not params:
        return trial
    changed = copy.copy(trial)
    changed.distributions = trial.distributions | distributions
    changed.params = trial.params | params
    return changed


def _masked(key: str, choices: Sequence[Any]) -> Sequence[Any]:
    masked = [_plain(masked_values({key: choice})[key]) for choice in choices]
    count = collections.Counter(map(repr, masked))
    return tuple(
        f"{shown} ({index})" if shown != choice and count[repr(shown)] > 1 else shown
        for index, (shown, choice) in enumerate(zip(masked, choices, strict=True))
    )


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)

"""What a study searches, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    IntDistribution,
    json_to_distribution,
)

from seqsweep.search.study.past import SEARCH
from seqsweep.secrets import masked_values

PREFIX = "params."  # of a parameter among what makes two sweeps the same search


def space_of(attributes: Mapping[str, Any]) -> dict[str, str]:
    """Gives each parameter's range, as the attributes of a study hold it, without secrets."""
    found = {}
    for key, text in attributes.get(SEARCH, {}).items():
        if key.startswith(PREFIX):
            distribution, _, when = text.partition(" when ")
            said = _said(json_to_distribution(distribution))
            found[key.removeprefix(PREFIX)] = f"{said} when {when}" if when else said
    return masked_values(found)


def _said(distribution: BaseDistribution) -> str:
    if isinstance(distribution, CategoricalDistribution):
        return f"one of {', '.join(map(str, distribution.choices))}"
    kind = "whole number, " if isinstance(distribution, IntDistribution) else ""
    scale = ", log" if distribution.log else ""
    step = "" if distribution.step in (None, 1) else f" in steps of {distribution.step:g}"
    return f"{kind}{distribution.low:g} to {distribution.high:g}{step}{scale}"

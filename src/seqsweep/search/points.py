"""Searches that try every point of a space: which do, how many points, in which order they wait."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from optuna.distributions import CategoricalDistribution
from optuna.samplers import BruteForceSampler, CmaEsSampler, GridSampler

from seqsweep.errors import SearchError
from seqsweep.search.build import TARGET
from seqsweep.search.parameter import Value
from seqsweep.search.space import Space


def tries_all(kind: type) -> bool:
    """Says whether a sampler of this class tries every point of its space once."""
    return issubclass(kind, GridSampler | BruteForceSampler)


def points_wait(kind: type, *, is_extended: bool = False) -> bool:
    """Says whether the points wait in the study from the beginning, rather than being sampled.

    Optuna's own samplers end such a search themselves, by what runs just then. With 4 slots its
    brute force ran 15 trials for 12 points, and its grid may draw a point twice and another never;
    and they know nothing of trials that are to be tried again. Brute force is asked only where the
    space is extended by a function, so that nobody knows the points.
    """
    return tries_all(kind) and not is_extended


def in_order(kind: type, space: Space, seed: int | None) -> list[dict[str, Value]]:
    """Gives every point: a grid's as written, the last parameter changing fastest.

    Brute force's are shuffled by `seed`, so that the first ones are a fair sample.
    """
    points = space.points()
    if issubclass(kind, BruteForceSampler):
        random.Random(seed).shuffle(points)
    return points


def check_space(
    kind: type, config: Mapping[str, Any], space: Space, *, is_extended: bool = False
) -> None:
    """Checks that a sampler of this class can search the space.

    Raises:
        SearchError: naming what it cannot take.
    """
    if issubclass(kind, GridSampler):
        if is_extended:
            raise SearchError(
                "hydra.sweeper.custom_search_space does not go with a grid, whose points are known "
                "before the first trial; take hydra/sweeper/sampler=brute_force"
            )
        for name in config.keys() - {TARGET}:
            raise SearchError(
                f"hydra.sweeper.sampler.{name}={config[name]!r}: a grid takes no argument, it runs "
                "the values of hydra.sweeper.params, each combination once"
            )
    if tries_all(kind):
        space.points()
    if issubclass(kind, CmaEsSampler) and not (is_extended or _has_numbers(space)):
        raise SearchError(
            "hydra.sweeper.sampler CmaEsSampler searches numbers, and "
            f"{'; '.join(p.text for p in space.parameters)} has none but in choices, which it "
            "draws at random; give it an interval or a range, or take another sampler, as "
            "hydra/sweeper/sampler=tpe"
        )


def _has_numbers(space: Space) -> bool:
    return not all(isinstance(p.distribution, CategoricalDistribution) for p in space.parameters)

"""Searches that try every point of a space: which do, how many points, in which order they wait."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.samplers import BruteForceSampler, CmaEsSampler, GridSampler

from seqsweep.errors import SearchError
from seqsweep.search.build import TARGET
from seqsweep.search.space import Space, Value


def points_wait(kind: type, n_slots: int) -> bool:
    """Says whether the points wait in the study from the beginning, rather than being sampled.

    Optuna's own samplers end such a search themselves, by what runs just then. With 4 slots its
    brute force ran 15 trials for 12 points, and its grid may draw a point twice and another never.
    With one slot brute force is exact, in the order that its own dice give.
    """
    return issubclass(kind, GridSampler) or (issubclass(kind, BruteForceSampler) and n_slots > 1)


def count_trials(kind: type, space: Space, n_trials: int | None, default: int) -> int:
    """Gives how many trials there are; a grid has all its points, brute force no more than those.

    Raises:
        SearchError: the points have no end.
    """
    if not issubclass(kind, GridSampler | BruteForceSampler):
        return n_trials or default
    points = math.prod(map(len, space.grid().values()))
    return points if issubclass(kind, GridSampler) else min(n_trials or points, points)


def queue_points(
    study: optuna.Study, kind: type, space: Space, *, n_trials: int, seed: int | None
) -> None:
    """Lets points wait in the study: a grid's as written, the last parameter changing fastest.

    Brute force's are drawn by `seed`, so that the first `n_trials` of them are a fair sample.
    """
    grid = space.grid()
    points: Iterator[tuple[Value, ...]] = itertools.product(*grid.values())
    if issubclass(kind, BruteForceSampler):
        count = math.prod(map(len, grid.values()))
        drawn = random.Random(seed).sample(range(count), n_trials)
        points = (_point(grid, number) for number in drawn)
    for point in points:
        study.enqueue_trial(dict(zip(grid, point, strict=True)))


def check_space(kind: type, config: Mapping[str, Any], space: Space) -> None:
    """Checks that a sampler of this class can search the space.

    Raises:
        SearchError: naming what it cannot take.
    """
    if issubclass(kind, GridSampler):
        for name in config.keys() - {TARGET}:
            raise SearchError(
                f"hydra.sweeper.sampler.{name}={config[name]!r}: a grid takes no argument, it runs "
                "the values of hydra.sweeper.params, each combination once"
            )
    if issubclass(kind, GridSampler | BruteForceSampler):
        space.grid()
    if issubclass(kind, CmaEsSampler) and all(
        isinstance(p.distribution, CategoricalDistribution) for p in space.parameters
    ):
        raise SearchError(
            "hydra.sweeper.sampler CmaEsSampler searches numbers, and "
            f"{'; '.join(p.text for p in space.parameters)} has none but in choices, which it "
            "draws at random; give it an interval or a range, or take another sampler, as "
            "hydra/sweeper/sampler=tpe"
        )


def _point(grid: Mapping[str, list[Value]], number: int) -> tuple[Value, ...]:
    """Gives the point of this number in the grid's order."""
    values: list[Value] = []
    for axis in reversed(grid.values()):
        number, index = divmod(number, len(axis))
        values.append(axis[index])
    return tuple(reversed(values))

"""Searches that try every point of a space: which do, in which order, and how points are dealt."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, BruteForceSampler, CmaEsSampler, GridSampler
from optuna.trial import FrozenTrial, TrialState

from seqsweep.errors import SearchError
from seqsweep.search.space.parameter import Value
from seqsweep.search.space.space import Space
from seqsweep.search.study.build import TARGET
from seqsweep.search.workers.stops import RETRY_OF

FIXED = "fixed_params"  # Optuna's attribute of a trial whose values are given


def tries_all(kind: type, *, is_extended: bool = False) -> bool:
    """Says whether a sampler of this class tries every point of its space once, all of them known.

    They are not where a function of the user's extends the space.
    """
    return issubclass(kind, GridSampler | BruteForceSampler) and not is_extended


class PointSampler(BaseSampler):
    """Deals known points, each once, to the trials in their order; for several threads.

    Optuna's own samplers end such a search themselves, by what runs just then: with 4 slots its
    brute force ran 15 trials for 12 points, and its grid may draw a point twice and another never;
    and they know nothing of trials that are tried again. Points that wait in the study would be
    read anew from the store at each start of a trial, which takes a second for 10,000.

    A point stands in the study as its trial's `fixed_params`, as one that had waited.
    """

    def __init__(self, points: Sequence[dict[str, Value]], study: Study) -> None:
        trials = study.get_trials(deepcopy=False)
        had = {_key(trial.system_attrs.get(FIXED, {})) for trial in trials}
        left = [point for point in points if _key(point) not in had]
        # They wait in place of trials that were killed before they had a point
        empty = [trial.number for trial in trials if _waits_for_a_point(trial)]
        self._kept = dict(zip(empty, left, strict=False))
        self._left = left[len(self._kept) :]
        self._first = len(trials)
        self._dealt: dict[int, dict[str, Value]] = {}

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Deals a point to a trial that has none; one that is tried again mostly has.

        By the trial's place among those, so that it does not matter which slot is faster.
        """
        if trial.number in self._kept:
            point = self._kept[trial.number]
        elif trial.system_attrs.get(FIXED):
            return
        else:
            point = self._point_of(trial, study._storage.get_all_trials(study._study_id, False))
        self._dealt[trial.number] = point
        study._storage.set_trial_system_attr(trial._trial_id, FIXED, point)

    def _point_of(self, trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> dict[str, Value]:
        by_number = {each.number: each for each in trials}
        while (retried := trial.user_attrs.get(RETRY_OF)) is not None:  # killed without a point
            trial = by_number[retried]
        if trial.number in self._kept:
            return self._kept[trial.number]
        before = range(self._first, trial.number)
        again = sum(t.number in before and RETRY_OF in t.user_attrs for t in trials)
        return self._left[len(before) - again]

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Gives none."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Gives none."""
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any
    ) -> Any:
        """Gives the value of the trial's point."""
        return self._dealt[trial.number][param_name]

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Forgets the trial's point."""
        self._dealt.pop(trial.number, None)


def _waits_for_a_point(trial: FrozenTrial) -> bool:
    return trial.state is TrialState.WAITING and trial.system_attrs.get(FIXED) == {}


def _key(point: Mapping[str, Value]) -> str:
    return repr(sorted(point.items()))


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

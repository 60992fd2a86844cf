"""A study as it stands at one time, as plain values that cross to the process that draws it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field

import optuna
from optuna.trial import FrozenTrial, TrialState

from seqsweep.search.report.display import short_names
from seqsweep.search.report.intervals import by_seed, interval
from seqsweep.search.study.records import LENGTH


@dataclass(frozen=True)
class About:
    """What of a sweep does not change while it runs.

    Attributes:
        study: the study's name.
        names: what the objectives are called.
        directions: of each, minimize or maximize.
        asks: the question in the head of the sweep's file, None where there is none.
        settings: the budget, sampler and pruner, as they are shown.
        space: what is searched, by parameter.
        command: what was typed.
        reruns: what trains one trial again once its run's id is put behind it; None where nothing.
        unit: what the step axis counts.
    """

    study: str
    names: tuple[str, ...]
    directions: tuple[str, ...]
    asks: str | None
    settings: Mapping[str, str]
    space: Mapping[str, str]
    command: str
    reruns: str | None
    unit: str


@dataclass(frozen=True)
class Snapshot:
    """The trials of a sweep at one time.

    Attributes:
        best: the numbers of the best trials: one, or the Pareto front.
        retried: the numbers of those that others try again.
        ended_by: what ended the sweep, None while it runs.
        evaluated: what the last look at each of the best gave, by number.
    """

    about: About
    trials: Sequence[FrozenTrial]
    best: Sequence[int] = ()
    retried: frozenset[int] = frozenset()
    ended_by: str | None = None
    evaluated: Mapping[int, Mapping[str, float]] = field(default_factory=dict)

    def of(self, *states: TrialState) -> list[FrozenTrial]:
        """Gives the trials in one of these states."""
        return [trial for trial in self.trials if trial.state in states]

    @property
    def progress(self) -> list[tuple[int, TrialState, int]]:
        """What changes while a sweep runs: of each trial the state, and how often it reported."""
        return [(t.number, t.state, len(t.intermediate_values)) for t in self.trials]

    @property
    def completed(self) -> list[FrozenTrial]:
        """The trials that completed."""
        return self.of(TrialState.COMPLETE)

    @property
    def winners(self) -> list[FrozenTrial]:
        """The best trials, the best one first."""
        by_number = {trial.number: trial for trial in self.trials}
        return [by_number[number] for number in self.best]

    @property
    def seconds(self) -> float:
        """How long all trials together took."""
        return sum(trial.duration.total_seconds() for trial in self.trials if trial.duration)

    @property
    def length(self) -> int:
        """How far all trials together got, in the unit of the step axis."""
        return sum(trial.user_attrs.get(LENGTH, 0) for trial in self.trials)

    @property
    def short(self) -> dict[str, str]:
        """The short names of the parameters, by which figures and importances call them."""
        return short_names(dict.fromkeys(key for t in self.trials for key in t.params))

    def lower_is_better(self, index: int) -> Callable[[FrozenTrial], float]:
        """Gives the target of an objective as importances take it: for what makes it low."""
        sign = -1 if self.about.directions[index] == "maximize" else 1
        return lambda trial: sign * trial.values[index]

    def study(self, most: int | None = None) -> optuna.Study:
        """Gives a study that can be drawn, its parameters by their short names.

        At most `most` trials are in it: of those that completed or were pruned the best.
        """
        names = self.short
        trials = [_with_names(trial, names) for trial in self._some(most)]
        return _Shown(trials, self.about.directions)

    def _some(self, most: int | None) -> Sequence[FrozenTrial]:
        if most is None or len(self.trials) <= most:
            return self.trials
        sign = 1 if self.about.directions[0] == "maximize" else -1

        def rank(trial: FrozenTrial) -> float:
            last = trial.values or list(trial.intermediate_values.values())[-1:]
            return sign * last[0] if last else -float("inf")

        best = sorted(self.trials, key=rank, reverse=True)[:most]
        return sorted(best, key=lambda trial: trial.number)


def spread(trial: FrozenTrial) -> tuple[float, float, int] | None:
    """Gives the mean of a repeated trial's first objective, half its 95% interval, and the seeds.

    The interval is Student's for the mean, https://en.wikipedia.org/wiki/Student%27s_t-distribution;
    None where there are not two seeds.
    """
    values = [*by_seed(trial).values()]
    if len(values) < 2:
        return None
    found = interval(values)
    return found.mean, found.half_width, len(values)


class _Shown(optuna.Study):
    """A study of trials that keep their numbers, though others are left out."""

    def __init__(self, trials: Sequence[FrozenTrial], directions: Sequence[str]) -> None:
        study = optuna.create_study(directions=list(directions))
        super().__init__(study.study_name, study._storage)
        self._shown = trials

    def get_trials(
        self,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
        use_cache: bool = False,
    ) -> list[FrozenTrial]:
        """Gives the trials; the arguments are Optuna's, within which it asks for a cache too."""
        return [trial for trial in self._shown if states is None or trial.state in states]

    _get_trials = get_trials


def _with_names(trial: FrozenTrial, names: Mapping[str, str]) -> FrozenTrial:
    renamed = copy.copy(trial)
    renamed.distributions = {names[key]: d for key, d in trial.distributions.items()}
    renamed.params = {names[key]: value for key, value in trial.params.items()}
    return renamed

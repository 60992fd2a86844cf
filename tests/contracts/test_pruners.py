"""Every named pruner judges a trial as its definition says, called as the worker calls it."""

import math

import optuna
import pytest

from hydra_plugins.seqsweep_sweeper import OPTIONS
from seqsweep.search.study.study import make_pruner, silence_optuna

PRUNERS = OPTIONS["pruner"]
NEEDED = {"threshold": {"upper": 100.0}}  # what an option does not work without
STEPS = range(1, 17)

every_pruner = pytest.mark.parametrize("name", PRUNERS)
both_directions = pytest.mark.parametrize("direction", ["minimize", "maximize"])


@pytest.fixture(autouse=True)
def _quiet():
    silence_optuna()


class Race:
    """A study whose trials report curves; `sign` makes a curve that is good small or large."""

    def __init__(self, name: str, direction: str = "minimize", **arguments) -> None:
        config = {**PRUNERS[name], **NEEDED.get(name, {}), **arguments}
        self.sign = 1 if direction == "minimize" else -1
        self.study = optuna.create_study(
            study_name="contract",
            direction=direction,
            sampler=optuna.samplers.RandomSampler(seed=0),
            pruner=make_pruner(config),
        )

    def complete(self, *values: float) -> None:
        """Runs a trial to its end, whatever the pruner says; its values are of steps 1, 2, …"""
        trial = self.study.ask()
        for step, value in enumerate(values, start=1):
            trial.report(self.sign * value, step)
            trial.should_prune()
        self.study.tell(trial, self.sign * values[-1])

    def pruned_at(self, *values: float) -> int | None:
        """Runs a trial until the pruner ends it, and gives the step."""
        trial = self.study.ask()
        for step, value in enumerate(values, start=1):
            trial.report(self.sign * value, step)
            if trial.should_prune():
                self.study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                return step
        self.study.tell(trial, self.sign * values[-1])
        return None


def among_others(name: str, direction: str) -> Race:
    """Gives a race in which 30 nearly flat curves that begin at 1 to 30 have ended.

    No two of their differences are equal: with ties SciPy tries all signs, seconds a judgement.
    """
    race = Race(name, direction, **({"lower": -100.0} if name == "threshold" else {}))
    for number in range(30):
        level = number % 10 * 3 + number // 10 + 1
        race.complete(*(level * (1 + 0.001 * step**2) for step in STEPS))
    return race


@both_directions
@every_pruner
def test_a_trial_that_is_the_worst_and_gets_worse_is_pruned(name, direction):
    at = among_others(name, direction).pruned_at(*(100.0 * step + 1 for step in STEPS))
    assert (at is None) == (name == "none")


@both_directions
@every_pruner
def test_a_trial_that_is_the_best_and_gets_better_passes(name, direction):
    assert among_others(name, direction).pruned_at(*(1 / step for step in STEPS)) is None


@every_pruner
def test_the_first_trial_passes_unless_it_is_measured_by_a_fixed_value(name):
    curve = [50.0] * len(STEPS)
    assert Race(name).pruned_at(*curve) is None
    if name == "threshold":
        assert Race(name).pruned_at(101.0) == 1


@every_pruner
def test_a_trial_that_reports_nothing_passes(name):
    race = among_others(name, "minimize")
    assert not race.study.ask().should_prune()


@both_directions
def test_median_prunes_what_is_worse_than_the_median_at_its_step(direction):
    def race(n_others: int) -> Race:
        race = Race("median", direction)
        for value in range(1, n_others + 1):
            race.complete(float(value), float(value))
        return race

    assert race(5).pruned_at(3.01) == 1
    assert race(5).pruned_at(3.0) is None
    assert race(5).pruned_at(2.9, 9.0) is None  # its best value so far counts
    assert race(4).pruned_at(99.0) is None  # n_startup_trials


@both_directions
def test_percentile_keeps_the_best_quarter(direction):
    def race() -> Race:
        race = Race("percentile", direction)
        for value in range(1, 6):
            race.complete(float(value))
        return race

    assert race().pruned_at(2.01) == 1
    assert race().pruned_at(2.0) is None


@both_directions
def test_asha_promotes_one_in_three_at_steps_1_3_and_9(direction):
    def race() -> Race:
        race = Race("asha", direction)
        for value in range(1, 8):
            race.complete(float(value))
        return race

    assert race().pruned_at(1.5) is None  # the second of 8
    assert race().pruned_at(2.5) == 1  # the third
    assert race().pruned_at(0.5, 99.0) is None  # no rung is at 2
    other = race()
    other.complete(*[0.5] * 3)
    assert other.pruned_at(0.4, 0.4, 0.6) == 3  # behind the one that got so far


@both_directions
def test_hyperband_judges_by_the_rungs_of_each_bracket(direction):
    """With steps to 9 there are brackets of rungs at (1, 3, 9), (3, 9) and (9)."""
    race = Race("hyperband", direction, max_resource=9)
    for _ in range(60):
        race.complete(*[1.0] * 9)
    stopped = {race.pruned_at(*[2.0] * 9) for _ in range(60)}
    assert stopped == {1, 3, 9}


@both_directions
def test_patient_waits_until_nothing_has_improved_for_its_patience(direction):
    alone = {"wrapped_pruner": None}
    assert Race("patient", direction, **alone).pruned_at(1, 2, 2, 2, 2) == 5
    assert Race("patient", direction, **alone).pruned_at(1, 2, 2, 2, 0.9, 2, 2, 2) is None
    median = {"wrapped_pruner": {"_target_": "optuna.pruners.MedianPruner", "n_startup_trials": 1}}
    for better, at in ((0.5, 5), (1.5, None)):
        race = Race("patient", direction, **median)
        race.complete(*[better] * 5)
        assert race.pruned_at(1, 2, 2, 2, 2) == at


@both_directions
def test_wilcoxon_prunes_once_chance_explains_the_difference_below_one_in_ten(direction):
    """Worse at each of n steps has the probability 2 ** -n: 1/8 at 3, 1/16 at 4."""
    race = Race("wilcoxon", direction)
    race.complete(*(20.0 - step for step in STEPS))
    assert race.pruned_at(*(20.0 - step + 0.1 * step for step in STEPS)) == 4


def test_threshold_prunes_what_leaves_its_ends():
    def at(*values: float) -> int | None:
        return Race("threshold", upper=1.0, lower=-1.0).pruned_at(*values)

    assert at(1.0, -1.0) is None
    assert at(0.0, 1.01) == 2
    assert at(-1.01) == 1
    assert at(math.nan) == 1

"""Searches that try every point know how many there are and in which order they wait."""

import optuna
import pytest
from optuna.samplers import BruteForceSampler, GridSampler, TPESampler

from seqsweep.search.points import count_trials, queue_points
from seqsweep.search.space import Space

SPACE = Space.read({}, ["x=range(0,3)", "y=a,b"], None)
POINTS = [(x, y) for x in range(3) for y in "ab"]


def waiting(kind: type, n_trials: int, seed: int | None = None) -> list[tuple]:
    study = optuna.create_study()
    queue_points(study, kind, SPACE, n_trials=n_trials, seed=seed)
    return [tuple(trial.system_attrs["fixed_params"].values()) for trial in study.trials]


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        (TPESampler, None, 20),
        (TPESampler, 5, 5),
        (GridSampler, None, 6),
        (GridSampler, 5, 6),
        (BruteForceSampler, None, 6),
        (BruteForceSampler, 5, 5),
        (BruteForceSampler, 7, 6),
    ],
)
def test_the_number_of_trials_is_the_one_given_or_that_of_the_points(kind, given, expected):
    assert count_trials(kind, SPACE, given, 20) == expected


def test_a_grids_points_wait_in_the_order_in_which_it_is_written():
    assert waiting(GridSampler, 6) == POINTS


def test_points_of_brute_force_are_drawn_by_the_seed():
    assert sorted(waiting(BruteForceSampler, 6, seed=1)) == POINTS
    assert waiting(BruteForceSampler, 6, seed=1) == waiting(BruteForceSampler, 6, seed=1)
    assert len({tuple(waiting(BruteForceSampler, 6, seed=seed)) for seed in range(5)}) > 1
    few = waiting(BruteForceSampler, 4, seed=1)
    assert len(set(few)) == 4
    assert set(few) <= set(POINTS)

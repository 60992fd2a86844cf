"""Searches that try every point know which there are and in which order they wait."""

from optuna.samplers import BruteForceSampler, GridSampler, TPESampler

from seqsweep.search.points import in_order, points_wait
from seqsweep.search.space import Space

SPACE = Space.read({}, ["x=range(0,3)", "y=a,b"], None)
POINTS = [(x, y) for x in range(3) for y in "ab"]


def ordered(kind: type, seed: int | None = None) -> list[tuple]:
    return [tuple(point.values()) for point in in_order(kind, SPACE, seed)]


def test_a_grids_points_stand_in_the_order_in_which_it_is_written():
    assert ordered(GridSampler) == POINTS


def test_points_of_brute_force_are_shuffled_by_the_seed():
    assert sorted(ordered(BruteForceSampler, seed=1)) == POINTS
    assert ordered(BruteForceSampler, seed=1) == ordered(BruteForceSampler, seed=1)
    assert len({tuple(ordered(BruteForceSampler, seed=seed)) for seed in range(5)}) > 1


def test_points_wait_where_they_are_known():
    for kind in (GridSampler, BruteForceSampler):
        assert points_wait(kind)
        assert not points_wait(kind, is_extended=True)
    assert not points_wait(TPESampler)

"""Searches that try every point know which there are and in which order they wait."""

import threading

import optuna
import pytest
from optuna.samplers import BruteForceSampler, GridSampler, TPESampler

from seqsweep.search.space.points import PointSampler, in_order, tries_all
from seqsweep.search.space.space import Space
from seqsweep.search.study.past import run_again
from seqsweep.search.study.store.opening import open_storage
from seqsweep.search.workers.stops import RETRY_OF

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


def test_the_points_are_known_unless_a_function_extends_the_space():
    for kind in (GridSampler, BruteForceSampler):
        assert tries_all(kind)
        assert not tries_all(kind, is_extended=True)
    assert not tries_all(TPESampler)


def study_with(points: list[dict], storage=None) -> optuna.Study:
    study = optuna.create_study(storage=storage, study_name="points", load_if_exists=True)
    study.sampler = PointSampler(points, study)
    return study


@pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed to be used with:UserWarning")
def test_several_threads_are_dealt_each_point_once_beside_trials_that_are_tried_again(tmp_path):
    storage = open_storage(str(tmp_path / "studies.db"), grace_period=60)
    points = SPACE.points()
    study = study_with(points, storage)

    def serve(thread: int) -> None:
        for turn in range(4):
            if turn == 2:
                study.enqueue_trial({"x": thread, "y": "a"}, user_attrs={RETRY_OF: 0})
            trial = study.ask()
            SPACE.suggest(trial)
            study.tell(trial, 0.0)

    threads = [threading.Thread(target=serve, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ran = sorted((t.params["x"], t.params["y"]) for t in study.trials)
    assert ran == sorted([*POINTS, (0, "a"), (1, "a")])


def test_a_study_that_goes_on_is_dealt_what_it_has_not_had(tmp_path):
    storage = open_storage(str(tmp_path / "studies.db"), grace_period=60)
    for n_trials in (2, 4):
        study_with(SPACE.points(), storage).optimize(
            lambda trial: float(bool(SPACE.suggest(trial))), n_trials=n_trials
        )
    ran = [(t.params["x"], t.params["y"]) for t in study_with([], storage).trials]
    assert ran == POINTS


def test_a_trial_in_place_of_one_that_was_killed_before_it_had_a_point_is_dealt_one(tmp_path):
    storage = open_storage(str(tmp_path / "studies.db"), grace_period=60)
    study = study_with(SPACE.points(), storage)
    killed = storage.create_new_trial(study._study_id)
    study.tell(storage.get_trial_number_from_id(killed), state=optuna.trial.TrialState.FAIL)
    study.enqueue_trial({}, user_attrs={RETRY_OF: 0})
    again = study_with(SPACE.points(), storage)
    again.optimize(lambda trial: float(bool(SPACE.suggest(trial))), n_trials=6)
    (_, retried, *others) = [(t.params.get("x"), t.params.get("y")) for t in again.trials]
    assert [retried, *others] == POINTS


def test_a_point_that_a_worker_was_killed_before_it_dealt_goes_to_the_next_try(tmp_path):
    """The sampler is the same for all workers of a sweep, and stays when one of them dies."""
    storage = open_storage(str(tmp_path / "studies.db"), grace_period=60)
    study = study_with(SPACE.points(), storage)
    killed = storage.create_new_trial(study._study_id)
    run_again(study, storage.get_trial(killed))
    study.tell(storage.get_trial_number_from_id(killed), state=optuna.trial.TrialState.FAIL)
    study.optimize(lambda trial: float(bool(SPACE.suggest(trial))), n_trials=len(POINTS))
    ran = [(t.params["x"], t.params["y"]) for t in study.trials[1:]]
    assert ran == POINTS

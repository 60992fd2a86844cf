"""Samplers and pruners where several slots ask them at once, as a user chooses them."""

from pathlib import Path

import optuna
import pytest

APP = Path(__file__).parent.parent / "apps" / "curves.py"


def sweep(program, folder: Path, *arguments: str):
    ended = program(APP, "-m", *arguments, cwd=folder)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    study = optuna.load_study(study_name="curves-1", storage=f"sqlite:///{folder}/swept/optuna.db")
    return ended, study.trials


def states(trials: list) -> set[str]:
    return {trial.state.name for trial in trials}


def test_hyperband_outlives_that_all_slots_want_its_first_judgement_at_once(program, tmp_path):
    """Where two threads set up its brackets at once, Optuna 5.0 fails."""
    arguments = ["hydra/sweeper/pruner=hyperband", "hydra.sweeper.n_jobs=4"]
    arguments += ["hydra.sweeper.pruner._target_=__main__.SlowHyperband"]
    arguments += ["hydra.sweeper.n_trials=12", "x=interval(0,1)"]
    _, trials = sweep(program, tmp_path, *arguments)
    assert states(trials) == {"COMPLETE", "PRUNED"}


def test_brute_force_on_several_slots_runs_each_point_once_and_no_more(program, tmp_path):
    arguments = ["hydra/sweeper/sampler=brute_force", "hydra.sweeper.n_jobs=3", "x=range(0,7)"]
    ended, trials = sweep(program, tmp_path, *arguments)
    assert "7 trials on 3 slots" in ended.stdout
    assert sorted(trial.params["x"] for trial in trials) == list(range(7))


def test_brute_force_runs_as_many_points_as_are_asked_for(program, tmp_path):
    arguments = ["hydra/sweeper/sampler=brute_force", "hydra.sweeper.n_jobs=1", "x=range(0,7)"]
    _, trials = sweep(program, tmp_path, *arguments, "hydra.sweeper.n_trials=3")
    assert len({trial.params["x"] for trial in trials}) == len(trials) == 3


@pytest.mark.parametrize("seed", [[], ["hydra.sweeper.seed=1"]], ids=["unseeded", "seeded"])
def test_no_warning_of_optunas_gets_on_the_screen(program, tmp_path, seed):
    arguments = ["hydra/sweeper/sampler=qmc", "hydra/sweeper/pruner=patient", *seed]
    arguments += ["hydra.sweeper.n_jobs=2", "hydra.sweeper.n_trials=6", "x=interval(0,1)"]
    ended, _ = sweep(program, tmp_path, *arguments)
    assert ended.stderr == ""
    assert "xperimental" not in ended.stdout


def test_a_mistyped_argument_is_told_before_the_first_trial(program, tmp_path):
    ended = program(APP, "-m", "hydra.sweeper.sampler.n_startup=5", "x=1,2", cwd=tmp_path)
    assert ended.returncode == 1
    assert "hydra.sweeper.sampler.n_startup=5: TPESampler has no such argument" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
    assert not (tmp_path / "swept" / "optuna.db").exists()

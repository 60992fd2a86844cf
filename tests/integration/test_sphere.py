"""An app that knows nothing of seqsweep is searched as Optuna itself would search it."""

from pathlib import Path

import optuna
import pytest

APP = Path(__file__).parent.parent / "apps" / "sphere.py"
SPACE = ["x=interval(-5,5)", "y=int(interval(-5,5))"]
SETTINGS = ["hydra.sweeper.n_jobs=1", "hydra.sweeper.n_trials=14", "hydra.sweeper.seed=123"]
SETTINGS += ["hydra.sweeper.tracking.name=none", "hydra.sweep.dir=swept"]


def objective(trial: optuna.Trial) -> float:
    x = trial.suggest_float("x", -5, 5)
    y = trial.suggest_int("y", -5, 5)
    return x**2 + y**2


SAMPLERS = {
    "tpe": lambda: optuna.samplers.TPESampler(
        seed=123, n_startup_trials=10, multivariate=True, constant_liar=True
    ),
    "random": lambda: optuna.samplers.RandomSampler(seed=123),
}


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("name", SAMPLERS)
def test_one_slot_and_one_seed_give_the_trials_of_optuna_used_directly(program, tmp_path, name):
    arguments = ["-m", f"hydra/sweeper/sampler={name}", *SETTINGS, *SPACE]
    ended = program(APP, *arguments, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    swept = optuna.load_study(
        study_name="sphere-1", storage=f"sqlite:///{tmp_path}/swept/optuna.db"
    )
    direct = optuna.create_study(sampler=SAMPLERS[name]())
    direct.optimize(objective, n_trials=14)
    assert [t.params for t in swept.trials] == [t.params for t in direct.trials]
    assert swept.best_value == direct.best_value
    assert not (tmp_path / "mlflow.db").exists()


def test_a_grid_runs_each_of_its_points_once(program, tmp_path):
    arguments = ["-m", "hydra/sweeper/sampler=grid", *SETTINGS, "x=range(0,3)", "y=choice(1,2)"]
    ended = program(APP, *arguments, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "6 trials on 1 slot" in ended.stdout
    study = optuna.load_study(
        study_name="sphere-1", storage=f"sqlite:///{tmp_path}/swept/optuna.db"
    )
    points = sorted((t.params["x"], t.params["y"]) for t in study.trials)
    assert points == [(x, y) for x in (0, 1, 2) for y in (1, 2)]


def test_a_sweep_in_which_no_trial_completes_exits_with_1(program, tmp_path):
    arguments = ["-m", *SETTINGS, "hydra.sweeper.n_trials=2", "x=choice(a,b)"]
    ended = program(APP, *arguments, cwd=tmp_path)
    assert ended.returncode == 1
    assert "2 failed" in ended.stdout
    assert "TypeError" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr

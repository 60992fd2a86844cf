"""An app that knows nothing of seqsweep is searched as Optuna itself would search it."""

import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient
from omegaconf import OmegaConf

from hydra_plugins.seqsweep_sweeper import OPTIONS

APP = Path(__file__).parent.parent / "apps" / "sphere.py"
SPACE = ["x=interval(-5,5)", "y=int(interval(-5,5))"]
SETTINGS = ["hydra.sweeper.n_jobs=1", "hydra.sweeper.n_trials=14", "hydra.sweeper.seed=123"]
SETTINGS += ["hydra.sweeper.tracking.name=none", "hydra.sweep.dir=swept"]


def objective(trial: optuna.Trial) -> float:
    x = trial.suggest_float("x", -5, 5)
    y = trial.suggest_int("y", -5, 5)
    return x**2 + y**2


def sampler(name: str = "tpe") -> optuna.samplers.BaseSampler:
    """Gives Optuna's sampler as the plugin's option has it."""
    arguments = {k: v for k, v in OPTIONS["sampler"][name].items() if k != "_target_"}
    kind = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}[name]
    return kind(**{**arguments, "seed": 123})


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("name", ["tpe", "random"])
def test_one_slot_and_one_seed_give_the_trials_of_optuna_used_directly(program, tmp_path, name):
    arguments = ["-m", f"hydra/sweeper/sampler={name}", *SETTINGS, *SPACE]
    ended = program(APP, *arguments, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    swept = optuna.load_study(
        study_name="sphere-1", storage=f"sqlite:///{tmp_path}/swept/optuna.db"
    )
    direct = optuna.create_study(sampler=sampler(name))
    direct.optimize(objective, n_trials=14)
    assert [t.params for t in swept.trials] == [t.params for t in direct.trials]
    assert swept.best_value == direct.best_value
    assert not (tmp_path / "mlflow.db").exists()


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_two_objectives_have_the_front_of_optuna_used_directly(program, tmp_path):
    ended = program(APP.with_name("two_objectives.py"), "-m", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        x, y = trial.suggest_float("x", 0, 4.5, step=0.5), trial.suggest_float("y", 0, 3)
        return 4 * x**2 + 4 * y**2, (x - 5) ** 2 + (y - 5) ** 2

    direct = optuna.create_study(sampler=sampler(), directions=["minimize", "minimize"])
    direct.optimize(objective, n_trials=20)
    results = OmegaConf.load(tmp_path / "swept" / "optimization_results.yaml")
    assert results.name == "optuna"
    found = [(s.trial, dict(s.params), list(s["values"])) for s in results.solutions]
    expected = [(t.number, t.params, t.values) for t in direct.best_trials]
    assert found == sorted(expected, key=lambda solution: solution[2][0])
    assert len(found) > 1


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_custom_search_space_has_the_trials_of_optuna_used_directly(program, tmp_path):
    app = APP.with_name("custom_space.py")
    ended = program(app, "-m", "max_difference=0.25", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", -5.5, 5.5)
        y = trial.suggest_categorical("y", [-5, 0, 5])
        z = trial.suggest_float("z", x - 0.25, x + 0.25)
        return x**2 + y**2 + z**2 + trial.suggest_float("+w", 0.0, 1.0)

    direct = optuna.create_study(sampler=sampler())
    direct.optimize(objective, n_trials=14)
    swept = optuna.load_study(
        study_name="custom_space-1", storage=f"sqlite:///{tmp_path}/swept/optuna.db"
    )
    assert [t.params for t in swept.trials] == [t.params for t in direct.trials]
    assert swept.best_value == direct.best_value
    results = OmegaConf.load(tmp_path / "swept" / "optimization_results.yaml")
    assert results.best_params == direct.best_params
    assert results.best_value == direct.best_value


@pytest.mark.parametrize("name", ["tpe", "random"])
def test_one_seed_deals_each_trial_the_same_chance_whichever_slot_is_faster(
    program, tmp_path, name
):
    """The first trials of TPE are random; what comes after them depends on timing."""
    settings = [s for s in SETTINGS if "n_jobs" not in s and "sweep.dir" not in s]
    params = []
    for folder in ("first", "second"):
        arguments = [f"hydra/sweeper/sampler={name}", "hydra.sweeper.n_jobs=3"]
        arguments += [*settings, "hydra.sweeper.n_trials=8", f"hydra.sweep.dir={folder}"]
        ended = program(APP, "-m", *arguments, *SPACE, cwd=tmp_path)
        assert ended.returncode == 0, ended.stderr
        study = optuna.load_study(
            study_name="sphere-1", storage=f"sqlite:///{tmp_path}/{folder}/optuna.db"
        )
        params.append([trial.params for trial in study.trials])
    assert params[0] == params[1]
    assert len({tuple(p.values()) for p in params[0]}) == 8


def test_a_folder_that_holds_a_sweep_takes_no_other(program, tmp_path):
    arguments = ["-m", *SETTINGS, "hydra.sweeper.n_trials=1", *SPACE]
    assert program(APP, *arguments, cwd=tmp_path).returncode == 0
    again = program(APP, *arguments, cwd=tmp_path)
    assert again.returncode == 1
    assert "holds another sweep" in again.stderr
    assert "Traceback" not in again.stderr


def test_a_key_that_the_config_lacks_can_be_added_and_searched(program, tmp_path):
    arguments = ["-m", *SETTINGS, "hydra.sweeper.tracking.name=mlflow", "+new=1,2", *SPACE]
    ended = program(APP, *arguments, "hydra.sweeper.n_trials=2", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    study = optuna.load_study(
        study_name="sphere-1", storage=f"sqlite:///{tmp_path}/swept/optuna.db"
    )
    assert {trial.params["new"] for trial in study.trials} <= {1, 2}


def test_a_task_that_cannot_be_sent_to_a_process_is_told_before_the_first_trial(program, tmp_path):
    app = tmp_path / "app.py"
    app.write_text(
        APP.read_text()
        .replace("import hydra\n", "import threading\n\nimport hydra\n", 1)
        .replace("@hydra", "LOCK = threading.Lock()\n\n\n@hydra")
        .replace("    return", "    with LOCK:\n        return")
    )
    ended = program(app, "-m", *SETTINGS, *SPACE, cwd=tmp_path)
    assert ended.returncode == 1
    assert "cannot be sent to a process of its own" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def test_a_best_trial_that_cannot_be_evaluated_costs_no_result(program, tmp_path):
    arguments = ["-m", *SETTINGS, "hydra.sweeper.tracking.name=mlflow", *SPACE]
    arguments += ["hydra.sweeper.n_trials=2", "hydra.sweeper.evaluate_best=math.sqrt"]
    ended = program(APP, *arguments, cwd=tmp_path)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stdout + ended.stderr
    assert "Best: trial" in ended.stdout
    assert "the best model could not be evaluated: TypeError" in ended.stdout
    results = OmegaConf.load(tmp_path / "swept" / "optimization_results.yaml")
    assert results.best_trial in (0, 1)
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    (experiment,) = client.search_experiments(filter_string="name = 'sphere'")
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(run.info.status for run in runs) == ["FAILED", "FINISHED", "FINISHED"]


def test_where_only_the_evaluation_failed_the_same_command_does_that_alone(program, tmp_path):
    arguments = ["-m", *SETTINGS, *SPACE, "hydra.sweeper.n_trials=2"]
    failed = program(APP, *arguments, "hydra.sweeper.evaluate_best=math.sqrt", cwd=tmp_path)
    assert failed.returncode == 1
    again = program(APP, *arguments, "hydra.sweeper.evaluate_best=builtins.repr", cwd=tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "sphere-1 goes on: 2 trials, of which 2 have ended and 0 run again" in again.stdout
    anew = program(APP, *arguments, cwd=tmp_path)
    assert "holds another sweep" in anew.stderr  # that one is finished


def test_a_reader_that_leaves_ends_nothing(tmp_path):
    """As `python app.py -m … | head -1` does, or a lost connection."""
    arguments = ["-m", *SETTINGS, "hydra.sweeper.tracking.name=mlflow", *SPACE]
    process = subprocess.Popen(
        [sys.executable, "-u", str(APP), *arguments, "hydra.sweeper.n_trials=4"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=120) == 0
    study = optuna.load_study(
        study_name="sphere-1", storage=f"sqlite:///{tmp_path}/swept/optuna.db"
    )
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 4
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    (experiment,) = client.search_experiments(filter_string="name = 'sphere'")
    runs = client.search_runs([experiment.experiment_id])
    assert [run.info.status for run in runs] == ["FINISHED"] * 5


def test_sweeps_that_begin_at_once_on_a_store_that_does_not_exist_all_run(tmp_path):
    settings = [s for s in SETTINGS if "sweep.dir" not in s]
    arguments = [
        "-m",
        *settings,
        "hydra.sweeper.n_trials=2",
        "hydra.sweeper.storage=new/studies.db",
    ]
    arguments += [
        "hydra.sweeper.tracking.name=mlflow",
        "hydra.sweep.dir=${hydra.sweeper.study_name}",
    ]
    processes = [
        subprocess.Popen(
            [sys.executable, str(APP), *arguments, *SPACE],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    errors = [process.communicate(timeout=180)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], errors
    names = optuna.get_all_study_names(f"sqlite:///{tmp_path}/new/studies.db")
    assert sorted(names) == ["sphere-1", "sphere-2", "sphere-3"]
    for name in names:
        assert (tmp_path / name / "optimization_results.yaml").exists()


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

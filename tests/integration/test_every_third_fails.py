"""A sweep of forty trials of which every third fails, in seven ways in turn."""

import runpy
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient
from optuna.trial import TrialState

APP = Path(__file__).parent.parent / "apps" / "ways_to_end.py"
N_TRIALS = 40
LIMIT_S = 4

REASONS = {
    "not_a_number": "the objective is not finite: nan",
    "raises": "ValueError: no such thing",
    "exits": "RuntimeError: the function called sys.exit(3)",
    "killed": "the trial process was ended by SIGKILL (out of memory?)",
    "segfault": "the trial process was ended by SIGSEGV (segmentation fault)",
    "hangs": f"it took longer than trial_timeout={LIMIT_S} s",
    "text": "the function returned '0.5', which is no number",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("every_third")


@pytest.fixture(scope="module")
def ended(folder, program):
    settings = ["hydra/sweeper/sampler=random", f"hydra.sweeper.n_trials={N_TRIALS}"]
    settings += ["hydra/sweeper/pruner=none", f"hydra.sweeper.trial_timeout={LIMIT_S}"]
    # the app's own pruner and space are of another test
    settings += ["hydra.sweeper.pruner._target_=optuna.pruners.NopPruner"]
    settings += ["~hydra.sweeper.pruner.upper", "hydra.sweeper.n_jobs=2"]
    values = ["every_third_fails=true", "way=completes", "x=interval(-1.0,1.0)"]
    return program(APP, "-m", *settings, *values, cwd=folder)


@pytest.fixture(scope="module")
def trials(ended, folder) -> list[optuna.trial.FrozenTrial]:
    url = f"sqlite:///{folder}/sweep/optuna.db"
    return optuna.load_study(study_name="ways_to_end-1", storage=url).trials


@pytest.fixture(scope="module")
def runs(ended, folder):
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    (experiment,) = client.search_experiments(filter_string="name = 'ways_to_end'")
    runs = client.search_runs([experiment.experiment_id])
    return {run.data.tags.get("seqsweep.trial"): run for run in runs}


def expected(number: int) -> str | None:
    """Gives the reason for which the trial of that number fails, None where it completes."""
    ways = runpy.run_path(str(APP))["IN_TURN"]
    turn, place = divmod(number, 3)
    return REASONS[ways[turn % len(ways)]] if place == 2 else None


def test_the_sweep_ends_well(ended):
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert "27 completed, 13 failed" in ended.stdout
    assert ended.stdout.count("failed: ") == 13


def test_all_forty_trials_are_accounted_for_in_optuna_and_in_mlflow(trials, runs):
    assert [trial.number for trial in trials] == list(range(N_TRIALS))
    assert set(runs) == {None, *map(str, range(N_TRIALS))}  # None is the sweep's own


def test_each_trial_has_its_state_and_its_reason_in_optuna(trials):
    for trial in trials:
        reason = expected(trial.number)
        assert trial.user_attrs.get("reason") == reason
        assert trial.state is (TrialState.FAIL if reason else TrialState.COMPLETE)


def test_each_run_has_its_state_and_its_reason_in_mlflow(runs):
    for number in range(N_TRIALS):
        run, reason = runs[str(number)], expected(number)
        assert run.info.status == ("FAILED" if reason else "FINISHED")
        assert run.data.tags.get("seqsweep.reason") == reason


def test_the_seven_ways_are_all_there(trials):
    assert {trial.user_attrs.get("reason") for trial in trials} - {None} == set(REASONS.values())

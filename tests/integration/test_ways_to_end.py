"""Each way in which a trial can end is told apart, and Optuna and MLflow agree on it."""

from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient
from omegaconf import OmegaConf

APP = Path(__file__).parent.parent / "apps" / "ways_to_end.py"

REASONS = {
    "not_a_number": "the objective is not finite: nan",
    "infinite": "the objective is not finite: -inf",
    "text": "the function returned '0.5', which is no number",
    "nothing": "the function returned None, which is no number",
    "two": "the function returned 2 values, but hydra.sweeper.direction names 1 objective",
    "raises": "ValueError: no such thing",
    "exits": "RuntimeError: the function called sys.exit(3)",
    "killed": "the trial process was ended by SIGKILL (out of memory?)",
    "segfault": "the trial process was ended by SIGSEGV (segmentation fault)",
}
REASONS |= {
    "step_below_zero": "ValueError: report() was called with step=-1: accepted is 0 to 2147483647",
    "bad_metric": "ValueError: report() was called with the metric 'f1@5': accepted are letters, "
    "digits and the characters _ - . : / and space",
    "half_a_character": "ValueError: ?",
}
VALUES = {"completes": 0.5, "counts": 1.0, "lingers": 0.75, "has_children": 2.0}
N_WAYS = len(REASONS) + len(VALUES) + 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("ways")


@pytest.fixture(scope="module")
def ended(folder, program):
    return program(APP, "-m", cwd=folder)


@pytest.fixture(scope="module")
def trials(ended, folder):
    study = optuna.load_study(
        study_name="ways_to_end-1", storage=f"sqlite:///{folder}/sweep/optuna.db"
    )
    return {trial.params["way"]: trial for trial in study.trials}


@pytest.fixture(scope="module")
def runs(ended, folder):
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    (experiment,) = client.search_experiments(filter_string="name = 'ways_to_end'")
    runs = client.search_runs([experiment.experiment_id])
    return {run.data.params.get("way"): run for run in runs}


def test_a_sweep_in_which_trials_fail_ends_well_and_leaves_no_traceback_on_the_screen(ended):
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert f"{len(VALUES)} completed" in ended.stdout
    assert f"{len(REASONS)} failed" in ended.stdout


def test_every_trial_is_accounted_for_once(trials, runs):
    assert len(trials) == N_WAYS
    assert set(runs) == {None, *trials}  # None is the sweep's own run


@pytest.mark.parametrize("way", REASONS)
def test_a_failed_trial_has_its_reason_in_optuna_and_in_mlflow(trials, runs, way):
    trial, run = trials[way], runs[way]
    assert trial.state is optuna.trial.TrialState.FAIL
    assert trial.user_attrs["reason"] == REASONS[way]
    assert run.info.status == "FAILED"
    assert run.data.tags["seqsweep.outcome"] == "failed"
    assert run.data.tags["seqsweep.reason"] == REASONS[way]


@pytest.mark.parametrize("way", VALUES)
def test_a_completed_trial_has_its_value_and_a_finished_run(trials, runs, way):
    assert trials[way].state is optuna.trial.TrialState.COMPLETE
    assert trials[way].value == VALUES[way]
    assert runs[way].info.status == "FINISHED"


def test_a_pruned_trial_is_no_failure(trials, runs):
    trial, run = trials["pruned"], runs["pruned"]
    assert trial.state is optuna.trial.TrialState.PRUNED
    assert trial.intermediate_values == {1: 0.5, 2: 1e9}
    assert run.info.status == "KILLED"
    assert run.data.tags["seqsweep.outcome"] == "pruned"
    assert run.data.tags["seqsweep.pruned_at"] == "2"


def test_each_trial_knows_its_run_and_each_run_its_trial_and_its_sweep(trials, runs):
    parent = runs[None]
    assert parent.info.status == "FINISHED"
    for way, trial in trials.items():
        run = runs[way]
        assert trial.user_attrs["mlflow_run_id"] == run.info.run_id
        assert run.data.tags["seqsweep.trial"] == str(trial.number)
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id


def test_a_traceback_is_an_artifact_of_its_run_and_stands_in_the_jobs_folder(folder, trials, runs):
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    names = {f.path for f in client.list_artifacts(runs["raises"].info.run_id)}
    assert names == {"config.yaml", "traceback.txt"}
    output = folder / "sweep" / str(trials["raises"].number) / "output.log"
    assert "ValueError: no such thing" in output.read_text()


def test_what_a_trial_prints_goes_into_its_own_folder(ended, folder, trials):
    line = "this goes into the folder of the job"
    assert line not in ended.stdout
    for trial in trials.values():
        text = (folder / "sweep" / str(trial.number) / "output.log").read_text()
        assert text.count(line) == 1


def test_the_results_file_names_the_best_trial_and_its_run(folder, trials, runs):
    results = OmegaConf.load(folder / "sweep" / "optimization_results.yaml")
    best = trials["completes"]
    assert results.best_params == {"way": "completes"}
    assert results.best_value == 0.5
    assert results.best_trial == best.number
    assert results.mlflow_run_id == runs["completes"].info.run_id

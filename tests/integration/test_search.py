"""What a sweep file can ask for, on a function that learns in no time."""

import math
import statistics
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient
from omegaconf import OmegaConf
from optuna.trial import TrialState

APP = Path(__file__).parent.parent / "apps" / "learner.py"
pytestmark = pytest.mark.usefixtures("mlflow_store")


@pytest.fixture
def sweep(program, tmp_path):
    """Runs a sweep of the app; gives the ended program and the study."""

    def run(*arguments: str, code: int = 0, tracking: str = "none"):
        ended = program(
            APP,
            "-m",
            f"hydra.sweeper.tracking.name={tracking}",
            *arguments,
            cwd=tmp_path,
        )
        assert ended.returncode == code, ended.stdout + ended.stderr
        assert "Traceback" not in ended.stdout + ended.stderr
        study = optuna.load_study(
            study_name="learner-1", storage=f"sqlite:///{tmp_path}/swept/optuna.db"
        )
        return ended, study

    return run


@pytest.fixture
def runs(tmp_path):
    """Gives the runs in MLflow's store by kind and number."""

    def read() -> dict[tuple[str, str | None], list]:
        client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
        (experiment,) = client.search_experiments(filter_string="name = 'learner'")
        found: dict[tuple[str, str | None], list] = {}
        for run in client.search_runs([experiment.experiment_id]):
            tags = run.data.tags
            found.setdefault((tags["seqsweep.kind"], tags.get("seqsweep.trial")), []).append(run)
        return found

    return read


def results(folder: Path):
    return OmegaConf.load(folder / "swept" / "optimization_results.yaml")


STOPS = {
    "n_trials": ["hydra.sweeper.n_trials=3", "x=interval(0.0,1.0)"],
    "timeout": ["hydra.sweeper.timeout=3", "sleep=0.1", "x=interval(0.0,1.0)"],
    "target": ["hydra.sweeper.target=0.6", "x=interval(0.0,0.5)"],
    "patience": ["hydra.sweeper.patience=2", "x=choice(0,1)"],
}


@pytest.mark.parametrize("stop", STOPS)
def test_the_report_says_which_stop_ended_the_sweep(sweep, tmp_path, stop):
    ended, study = sweep("hydra.sweeper.n_jobs=2", *STOPS[stop])
    assert f"ended by {stop}: " in ended.stdout
    assert results(tmp_path).ended_by == stop
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}


def test_too_many_failures_end_the_sweep_and_the_exit_code_says_so(sweep):
    arguments = ["hydra.sweeper.max_failures=1", "hydra.sweeper.n_jobs=1", "fails_with_seed=0"]
    ended, study = sweep(*arguments, "x=interval(0.0,1.0)", code=1)
    assert "ended by max_failures: 2 trials failed, 1 may" in ended.stdout
    assert [trial.state for trial in study.trials] == [TrialState.FAIL] * 2


def test_a_trial_that_hangs_is_killed_and_its_reason_says_so(sweep):
    arguments = ["hydra.sweeper.trial_timeout=1.5", "hydra/sweeper/sampler=grid"]
    _, study = sweep(*arguments, "sleep=0,600", "x=1")
    slow, fast = sorted(study.trials, key=lambda trial: -trial.params["sleep"])
    assert fast.state is TrialState.COMPLETE
    assert slow.state is TrialState.FAIL
    assert slow.user_attrs["reason"] == "it took longer than trial_timeout=1.5 s"


def test_a_crashed_trial_is_tried_again_with_the_same_values(sweep, runs, tmp_path):
    arguments = ["crashes=1", "hydra.sweeper.max_retries=2", "hydra/sweeper/sampler=grid"]
    ended, study = sweep(*arguments, f"marks={tmp_path}/marks", "x=range(0,3)", tracking="mlflow")
    again = [trial for trial in study.trials if "retry_of" in trial.user_attrs]
    first = [trial for trial in study.trials if "retry_of" not in trial.user_attrs]
    assert [trial.state for trial in first] == [TrialState.FAIL] * 3
    assert [trial.state for trial in again] == [TrialState.COMPLETE] * 3
    for trial in again:
        tried = study.trials[trial.user_attrs["retry_of"]]
        assert trial.params == tried.params
        assert tried.user_attrs["reason"] == "the trial process was ended by SIGABRT"
        (run,) = runs()["trial", str(trial.number)]
        assert run.data.tags["seqsweep.retry_of"] == str(tried.number)
    assert "3 of them tried again" in ended.stdout
    assert "[3/3]" in ended.stdout


def test_a_trial_that_crashes_every_time_is_given_up_after_its_retries(sweep, tmp_path):
    arguments = ["crashes=9", "hydra.sweeper.max_retries=2", "hydra/sweeper/sampler=grid"]
    _, study = sweep(*arguments, f"marks={tmp_path}/marks", "x=choice(1)", code=1)
    assert [trial.state for trial in study.trials] == [TrialState.FAIL] * 3
    assert [t.user_attrs.get("retry_of") for t in study.trials] == [None, 0, 1]


@pytest.mark.parametrize("retries", [0, 1])
def test_an_evaluation_of_the_best_that_crashed_is_tried_again(sweep, tmp_path, retries):
    arguments = ["hydra.sweeper.evaluate_best=learner.evaluate_after_a_crash", "x=choice(3)"]
    arguments += [f"hydra.sweeper.max_retries={retries}", "hydra/sweeper/sampler=grid"]
    ended, _ = sweep(*arguments, f"marks={tmp_path}/marks", code=1 - retries)
    says = "test_loss 9" if retries else "could not be evaluated: the trial process was ended by"
    assert says in ended.stdout


def test_repeats_optimise_the_mean_and_record_the_spread(sweep, runs, tmp_path):
    arguments = ["hydra.sweeper.repeats=3", "seed=4", "hydra/sweeper/sampler=grid", "x=0,1"]
    ended, study = sweep(*arguments, tracking="mlflow")
    for trial in study.trials:
        values = [trial.params["x"] ** 2 + seed / 10 + 1 / 3 for seed in (4, 5, 6)]
        assert trial.value == pytest.approx(statistics.fmean(values))
        by_seed = trial.user_attrs["values_by_seed"]
        assert [by_seed[str(seed)][0] for seed in (4, 5, 6)] == pytest.approx(values)
        (run,) = runs()["trial", str(trial.number)]
        assert run.data.metrics["objective"] == trial.value
        assert run.data.metrics["objective_std"] == pytest.approx(statistics.stdev(values))
        assert trial.intermediate_values[1] == pytest.approx(statistics.fmean(values) + 2 / 3)
        below = runs()["repeat", str(trial.number)]
        assert {r.data.tags["mlflow.parentRunId"] for r in below} == {run.info.run_id}
        assert sorted(r.data.params["seed"] for r in below) == ["4", "5", "6"]
        assert sorted(r.data.metrics["objective"] for r in below) == pytest.approx(values)
        assert {r.info.status for r in below} == {"FINISHED"}
        folder = tmp_path / "swept" / str(trial.number)
        assert {p.name for p in folder.iterdir()} == {"seed-4", "seed-5", "seed-6"}
    assert "mean of 3 seeds" in ended.stdout


def test_repeats_are_pruned_together_by_their_mean(sweep, runs):
    """With x = 1 the mean of step 3 is 1.43, above the bound; that of seed 0 alone is below."""
    arguments = ["hydra.sweeper.repeats=3", "steps=4", "hydra/sweeper/sampler=grid"]
    arguments += ["hydra.sweeper.pruner._target_=optuna.pruners.ThresholdPruner"]
    arguments += ["+hydra.sweeper.pruner.upper=1.4", "+hydra.sweeper.pruner.n_warmup_steps=3"]
    _, study = sweep(*arguments, "x=0,1", tracking="mlflow")
    kept, pruned = study.trials
    assert kept.state is TrialState.COMPLETE
    assert pruned.state is TrialState.PRUNED
    assert max(pruned.intermediate_values) == 3
    assert {run.info.status for run in runs()["repeat", "1"]} == {"KILLED"}


def test_the_failure_of_one_seed_is_the_trials(sweep):
    arguments = ["hydra.sweeper.repeats=2", "fails_with_seed=1", "hydra/sweeper/sampler=grid"]
    _, study = sweep(*arguments, "x=choice(1)", code=1)
    assert study.trials[0].user_attrs["reason"] == "with seed 1: ValueError: this seed fails"


def test_the_best_trial_is_the_best_that_keeps_the_constraints(sweep, runs, tmp_path):
    arguments = ['hydra.sweeper.constraints=["size >= 1.5"]', "hydra/sweeper/sampler=grid"]
    ended, study = sweep(*arguments, "x=range(0,4)", tracking="mlflow")
    assert {t.params["x"]: t.constraints["size >= 1.5"] for t in study.trials} == {
        x: 1.5 - x for x in range(4)
    }
    assert results(tmp_path).best_params == {"x": 2}
    assert "2 break a constraint (!)" in ended.stdout
    feasible = {
        runs()["trial", str(t.number)][0].data.tags["seqsweep.feasible"]: t.params["x"]
        for t in study.trials
    }
    assert set(feasible) == {"true", "false"}


def test_a_constraint_on_what_is_never_reported_ends_the_sweep_at_once(sweep):
    arguments = ['hydra.sweeper.constraints=["sise >= 1.5"]', "hydra.sweeper.n_jobs=1"]
    ended, study = sweep(*arguments, "x=interval(0.0,1.0)", code=1)
    assert len(study.trials) == 1
    assert "hydra.sweeper.constraints bound sise" in ended.stdout
    assert "it reported loss, size" in ended.stdout


def test_known_points_are_tried_first_and_the_current_values_on_request(sweep):
    points = "[current,{x:0.25},{x:0.5,kind:b}]"
    arguments = [f"hydra.sweeper.enqueue={points}", "hydra.sweeper.n_trials=5"]
    _, study = sweep(*arguments, "x=interval(0.0,2.0)", "kind=a,b")
    first, second, third, *others = [trial.params for trial in study.trials]
    assert first == {"x": 1.0, "kind": "a"}
    assert second["x"] == 0.25
    assert third == {"x": 0.5, "kind": "b"}
    assert len(others) == 2


def test_a_set_of_values_that_has_finished_is_not_trained_again(sweep, runs, tmp_path):
    log = tmp_path / "log"
    arguments = ["hydra.sweeper.skip_duplicates=true", "hydra.sweeper.n_trials=9", f"log={log}"]
    arguments += ["hydra.sweeper.n_jobs=1"]
    ended, study = sweep(*arguments, "x=range(0,3)", tracking="mlflow")
    trained = log.read_text().splitlines()
    assert len(trained) == len({line.split()[1] for line in trained}) <= 3
    values = {trial.params["x"]: trial.value for trial in study.trials}
    assert all(trial.value == values[trial.params["x"]] for trial in study.trials)
    twins = [t for t in study.trials if "duplicate_of" in t.user_attrs]
    assert len(twins) == 9 - len(trained)
    for trial in twins:
        (run,) = runs()["trial", str(trial.number)]
        assert run.data.tags["seqsweep.duplicate_of"] == str(trial.user_attrs["duplicate_of"])
        assert run.data.metrics["objective"] == trial.value
        assert run.info.status == "FINISHED"
    assert f"{len(twins)} not trained" in ended.stdout


def test_a_conditional_space_in_a_sweep_gives_each_trial_what_exists_for_it(sweep, tmp_path):
    arguments = ["+hydra.sweeper.params.kind='choice(a,b)'"]
    arguments += ["+hydra.sweeper.params.depth={when:{kind:b},values:'choice(2,3)'}"]
    _, study = sweep("hydra/sweeper/sampler=grid", *arguments)
    assert [trial.params for trial in study.trials] == [
        {"kind": "a"},
        {"kind": "b", "depth": 2},
        {"kind": "b", "depth": 3},
    ]
    depths = [OmegaConf.load(tmp_path / f"swept/{n}/.hydra/config.yaml").depth for n in range(3)]
    assert depths == [1, 2, 3]


def test_several_objectives_are_recorded_by_name_and_their_front_is_told(sweep, runs, tmp_path):
    arguments = ["hydra.sweeper.direction=[minimize,maximize]", "two=true"]
    arguments += ["hydra.sweeper.metric=[loss,size]", "hydra/sweeper/sampler=grid"]
    ended, study = sweep(*arguments, "x=range(0,3)", "seed=0,1", tracking="mlflow")
    front = {t.number for t in study.trials if t.params["seed"] == 0}  # the seed only adds loss
    assert {solution.trial for solution in results(tmp_path).solutions} == front
    assert f"Pareto front: {len(front)} of the trials" in ended.stdout
    for trial in study.trials:
        (run,) = runs()["trial", str(trial.number)]
        assert run.data.metrics["objective_loss"] == trial.values[0]
        assert run.data.metrics["objective_size"] == trial.values[1]
        assert ("seqsweep.best" in run.data.tags) == (trial.number in front)


def test_another_number_of_values_than_of_directions_ends_the_sweep_at_its_first_trial(sweep):
    arguments = ["hydra.sweeper.direction=[minimize,minimize]", "hydra.sweeper.metric=null"]
    ended, study = sweep(*arguments, "hydra.sweeper.n_jobs=1", "x=interval(0.0,1.0)", code=1)
    assert len(study.trials) == 1
    says = "the function returned 1 value, but hydra.sweeper.direction names 2 objectives"
    assert says in " ".join(ended.stdout.split())


def test_a_free_slot_takes_the_next_trial_while_another_ones_goes_on(sweep):
    """Four short trials fit beside one long one; behind a barrier they would wait for it."""
    arguments = ["hydra.sweeper.n_jobs=2", "hydra/sweeper/sampler=grid", "steps=1"]
    _, study = sweep(*arguments, "sleep=8.0,0.0,0.01,0.02,0.03")
    long, *short = study.trials
    assert all(trial.datetime_complete < long.datetime_complete for trial in short)
    assert math.isfinite(long.value)

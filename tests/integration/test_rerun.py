"""A recorded trial is trained again from its run alone, to the same bits."""

import re
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient

SPACE = ("model.n_hidden=int(interval(4,12))", "optimizer.learning_rate=interval(0.001,0.01)")
SHORT = ("training.training_iters=1200", "training.validate_every=0.1", "training.batch_size=50")


@pytest.fixture(scope="module")
def project(tmp_path_factory, copy_project) -> Path:
    return copy_project(tmp_path_factory.mktemp("rerun") / "project")


@pytest.fixture(scope="module")
def rerun(project, program):
    script = project / "src" / "run.py"
    sweeper = [f"hydra.sweeper.{what}" for what in ("n_trials=2", "repeats=2", "study_name=twice")]
    for more in (sweeper, ["hydra.sweeper.n_trials=2"]):
        ended = program(script, "-m", *SPACE, *SHORT, *more, cwd=project)
        assert ended.returncode == 0, ended.stderr

    def run(*arguments: str):
        return program(script, *arguments, cwd=project)

    return run


@pytest.fixture(scope="module")
def client(rerun, project):
    return MlflowClient(f"sqlite:///{project / 'mlflow.db'}")


@pytest.fixture(scope="module")
def trials(rerun, project):
    storage = f"sqlite:///{project / 'mlruns' / 'optuna.db'}"
    return optuna.load_study(study_name="run-1", storage=storage).trials


def curves(client: MlflowClient, run_id: str) -> dict:
    names = ("train_loss", "val_loss", "val_accuracy")
    return {
        name: [(m.step, m.value) for m in client.get_metric_history(run_id, name)] for name in names
    }


def last(client: MlflowClient):
    experiment = client.get_experiment_by_name("seqsweep").experiment_id
    (run,) = client.search_runs(
        [experiment],
        "tags.`seqsweep.kind` = 'single'",
        max_results=1,
        order_by=["attributes.start_time DESC"],
    )
    return run


@pytest.mark.parametrize("by", ["id", "name", "number"])
def test_a_trial_trained_again_has_the_same_curves_to_the_last_bit(rerun, client, trials, by):
    run_id = trials[1].user_attrs["mlflow_run_id"]
    which = {"id": run_id, "name": "run-1/1", "number": "1"}[by]
    ended = rerun(f"+rerun={which}")
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    of = last(client).data.tags["seqsweep.rerun_of"]
    assert of == run_id
    said = rf"the curves are those of the run {of} to the last bit, at all \d+ points"
    assert re.search(said, ended.stdout)
    assert curves(client, of)["val_loss"]
    assert curves(client, last(client).info.run_id) == curves(client, of)


def test_one_seed_of_a_repeated_trial_is_trained_again_under_that_seed(rerun, client):
    experiment = client.get_experiment_by_name("seqsweep").experiment_id
    (repeat, *_) = client.search_runs(
        [experiment], "tags.`seqsweep.kind` = 'repeat' and params.seed = '1'"
    )
    ended = rerun(f"+rerun={repeat.info.run_id}")
    assert ended.returncode == 0, ended.stderr
    assert last(client).data.params["seed"] == "1"
    assert curves(client, last(client).info.run_id) == curves(client, repeat.info.run_id)


def test_where_the_machine_gives_other_curves_that_is_said(rerun, client, trials):
    run_id = trials[0].user_attrs["mlflow_run_id"]
    client.log_metric(run_id, "val_loss", 0.125, step=1150)
    ended = rerun(f"+rerun={run_id}")
    assert ended.returncode == 0
    assert f"the curves differ from those of the run {run_id}: val_loss at 1150" in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["+rerun=99"], "has no such trial; a run's id, a trial's number of the last sweep"),
        (["+rerun=" + 32 * "0"], "has no such trial"),
        (["+rerun=no/1"], "has no such trial"),
        (["+rerun=twice/0"], "has several runs below it; give the one to be trained again: "),
        (["+rerun=1", "++rerun=2"], "rerun=1 and 2: one trial is accepted"),
        (["+rerun=word"], "rerun=word: a run's id, a trial's number"),
        (["+rerun=1", "model.n_hidden=8"], "model.n_hidden=8: +rerun trains the recorded trial"),
        (["+rerun=1", "model=gru"], "model=gru: +rerun trains the recorded trial as it was"),
        (["+rerun=1", "tracking=none"], "tracking=none has no recorded trials"),
        (["-m", "sweep", "+rerun=1"], "+rerun trains one trial again, by itself: leave out -m"),
    ],
)
def test_what_cannot_be_trained_again_is_told_in_one_sentence(rerun, arguments, said):
    ended = rerun(*arguments)
    assert ended.returncode == 1
    assert said in ended.stderr
    assert ended.stderr.count("\n") == 1

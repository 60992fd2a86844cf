"""A model and data of the user's own, as he starts the program in his folder."""

import pytest
from mlflow import MlflowClient

MODULE = """
import keras


def make(config, input_shape, n_classes):
    print("made", flush=True)
    return keras.Sequential([
        keras.Input(input_shape),
        keras.layers.LSTM(config.width, dropout=0.1),
        keras.layers.Dropout(0.2),
        keras.layers.Dense(n_classes + config.get("more", 0)),
    ])


def ends(config, input_shape, n_classes):
    import os

    os._exit(3)
"""
DATA = """
import numpy as np


def load():
    y = np.arange(120) % 3
    x = np.random.default_rng(0).random((120, 6, 4)) / 2
    x[np.arange(120), y] += 0.5
    return x[:90], y[:90], x[90:], y[90:]
"""
OWN = ["model=function", "model._target_=user_model.make", "data=function"]
OWN += ["data.function=user_data:load", "data.n_validation=30", "training.batch_size=20"]
OWN += ["training.display_step=1", "training.epochs=3"]


@pytest.fixture
def own(project):
    """The folder of the project with the user's files in it."""
    (project / "user_model.py").write_text(MODULE)
    (project / "user_data.py").write_text(DATA)
    return project


def curve(folder, experiment: str, **params: str):
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    (found,) = client.search_experiments(filter_string=f"name = '{experiment}'")
    wanted = " and ".join(f"params.`model.{key}` = '{value}'" for key, value in params.items())
    (run,) = client.search_runs([found.experiment_id], wanted)
    assert run.info.status == "FINISHED"
    return [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "train_loss")]


def test_a_sweep_searches_its_values_and_each_trial_is_the_single_run_to_the_last_bit(own, program):
    script = own / "src" / "run.py"
    swept = program(
        script,
        "-m",
        *OWN,
        "hydra/sweeper/sampler=grid",
        "+model.width=5,7",
        "tracking.experiment=swept",
        cwd=own,
    )
    assert swept.returncode == 0, swept.stdout + swept.stderr
    assert swept.stderr == ""
    assert "made" not in swept.stdout
    single = program(script, *OWN, "+model.width=7", "tracking.experiment=one", cwd=own)
    assert single.returncode == 0, single.stderr
    assert curve(own, "swept", width="7") == curve(own, "one", width="7")
    assert len(curve(own, "one", width="7")) == 9


@pytest.mark.parametrize("mode", [["+model.width=5"], ["-m", "+model.width=5,7"]], ids=["one", "m"])
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("+model.more=2", "error: model._target_=user_model.make: its model gives (None, 5): "),
        ("model._target_=user_mode.make", "error: model._target_='user_mode.make' names no func"),
        ("data.function=user_data:lod", "error: data.function='user_data:lod' names no function"),
    ],
)
def test_what_cannot_train_is_one_sentence_before_anything_is_written(
    own, program, mode, wrong, said
):
    ended = program(own / "src" / "run.py", *mode, *OWN, wrong, cwd=own)
    assert ended.returncode == 1
    (sentence,) = ended.stderr.splitlines()
    assert sentence.startswith(said)
    assert not (own / "mlruns" / "optuna.db").exists()
    if (own / "mlflow.db").exists():
        client = MlflowClient(f"sqlite:///{own}/mlflow.db")
        everywhere = [experiment.experiment_id for experiment in client.search_experiments()]
        assert client.search_runs(everywhere) == []


def test_a_function_that_ends_its_process_ends_the_sweep_with_a_sentence(own, program):
    arguments = [*OWN, "model._target_=user_model.ends", "+model.width=5,7"]
    ended = program(own / "src" / "run.py", "-m", *arguments, cwd=own)
    assert ended.returncode == 1
    (sentence,) = ended.stderr.splitlines()
    assert sentence.startswith("error: model._target_=user_model.ends ends its process")

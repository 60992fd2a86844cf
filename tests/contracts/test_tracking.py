"""Every tracking store keeps the same promises; another client sees what was written."""

import threading
from pathlib import Path

import pytest
from mlflow import MlflowClient

from seqsweep.config import TrackingConfig
from seqsweep.errors import TrackingError
from seqsweep.outcome import Completed, Failed, Pruned
from seqsweep.process.messages import Point
from seqsweep.tracking import RunRecord, open_tracking

STORES = ["mlflow", "none"]


def config(folder: Path, name: str = "mlflow", **values) -> TrackingConfig:
    defaults = {"uri": None, "experiment": "sweeps", "log_model": True, "hidden": []}
    return TrackingConfig(name=name, dir=str(folder), **{**defaults, **values})


@pytest.fixture(params=STORES)
def tracking(request, tmp_path):
    return open_tracking(config(tmp_path, request.param))


@pytest.fixture
def client(tmp_path):
    """MLflow's own client on the store that `mlflow ui` opens in the folder."""
    return MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")


@pytest.mark.parametrize("outcome", [Completed((0.5,)), Pruned(3), Failed("why", "traceback")])
def test_every_store_takes_a_whole_run(tracking, tmp_path, outcome):
    run = tracking.start(RunRecord("a run", params={"x": "1"}, tags={"t": "2"}))
    run.log([Point("loss", 0.5, 1), Point("loss", 0.4, 2)])
    run.tag({"more": "tags"})
    run.add_text("text", "file.txt")
    (tmp_path / "picture.png").write_bytes(b"png")
    run.add_file(tmp_path / "picture.png")
    run.end(outcome)
    run.log([Point("test_loss", 0.3, 0)])
    again = tracking.run(run.id)
    assert again.id == run.id
    again.log([Point("test_accuracy", 0.9, 0)])


@pytest.mark.parametrize(
    ("outcome", "status", "tags"),
    [
        (Completed((0.5,)), "FINISHED", {"seqsweep.outcome": "completed"}),
        (Pruned(3), "KILLED", {"seqsweep.outcome": "pruned", "seqsweep.pruned_at": "3"}),
        (Failed("why"), "FAILED", {"seqsweep.outcome": "failed", "seqsweep.reason": "why"}),
    ],
)
def test_an_outcome_is_the_runs_state(tmp_path, client, outcome, status, tags):
    run = open_tracking(config(tmp_path)).start(RunRecord("a run"))
    assert client.get_run(run.id).info.status == "RUNNING"
    run.end(outcome)
    seen = client.get_run(run.id)
    assert seen.info.status == status
    assert tags.items() <= seen.data.tags.items()


def test_a_curve_arrives_whole_in_order_and_at_its_steps(tmp_path, client):
    run = open_tracking(config(tmp_path)).start(RunRecord("a run"))
    run.log([Point("loss", 1 / (step + 1), step, 1000 + step) for step in range(2500)])
    history = client.get_metric_history(run.id, "loss")
    assert [(m.step, m.value, m.timestamp) for m in history] == [
        (step, 1 / (step + 1), 1000 + step) for step in range(2500)
    ]


def test_more_params_than_one_call_takes_are_all_kept(tmp_path, client):
    params = {f"p{i}": str(i) for i in range(250)}
    run = open_tracking(config(tmp_path)).start(RunRecord("a run", params=params))
    assert client.get_run(run.id).data.params == params


def test_a_child_run_lies_below_its_parent(tmp_path, client):
    tracking = open_tracking(config(tmp_path))
    parent = tracking.start(RunRecord("sweep"))
    child = tracking.start(RunRecord("trial", parent=parent.id))
    assert client.get_run(child.id).data.tags["mlflow.parentRunId"] == parent.id


def test_artifacts_lie_in_the_projects_folder_wherever_the_program_was_started(
    tmp_path, client, monkeypatch
):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    run = open_tracking(config(tmp_path / "home")).start(RunRecord("a run"))
    run.add_text("text", "file.txt")
    (kept,) = (tmp_path / "home" / "mlruns" / "artifacts").rglob("file.txt")
    assert kept.read_text() == "text"
    assert list(elsewhere.iterdir()) == []


def test_runs_may_be_written_from_several_threads_at_once(tmp_path, client):
    tracking = open_tracking(config(tmp_path))

    def one(number: int) -> None:
        run = tracking.start(RunRecord(f"run {number}", params={"number": str(number)}))
        for step in range(5):
            run.log([Point("loss", float(number), step)])
        run.end(Completed((float(number),)))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (experiment,) = client.search_experiments(filter_string="name = 'sweeps'")
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(run.data.params["number"] for run in runs) == [str(n) for n in range(8)]
    for run in runs:
        history = client.get_metric_history(run.info.run_id, "loss")
        assert [m.value for m in history] == [float(run.data.params["number"])] * 5


def test_the_environment_names_the_store_where_the_configuration_names_none(tmp_path, monkeypatch):
    uri = f"sqlite:///{tmp_path / 'other.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    run = open_tracking(config(tmp_path / "unused")).start(RunRecord("a run"))
    assert MlflowClient(uri).get_run(run.id).info.status == "RUNNING"
    assert not (tmp_path / "unused").exists()


@pytest.mark.parametrize("uri", ["sqlite:////proc/none/mlflow.db", "nosuch://store"])
def test_a_store_that_cannot_be_opened_is_named_in_one_line(tmp_path, uri):
    with pytest.raises(TrackingError, match="fails: ") as caught:
        open_tracking(config(tmp_path, uri=uri))
    assert uri in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_deleted_experiment_is_not_written_to_in_silence(tmp_path, client):
    open_tracking(config(tmp_path))
    (experiment,) = client.search_experiments(filter_string="name = 'sweeps'")
    client.delete_experiment(experiment.experiment_id)
    with pytest.raises(TrackingError, match="restore"):
        open_tracking(config(tmp_path))

"""Every tracking store keeps the same promises; another client sees what was written."""

import dataclasses
import json
import threading
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.data.schema import TensorDatasetSchema

from seqsweep.config import TrackingConfig
from seqsweep.errors import TrackingError
from seqsweep.outcome import Completed, Failed, Pruned
from seqsweep.process.messages import DataInput, File, Point, Report
from seqsweep.tracking import (
    JOURNAL,
    Run,
    RunRecord,
    Tracking,
    new_key,
    open_tracking,
    record,
)
from seqsweep.tracking.failures import StoreAway

STORES = ["mlflow", "none"]
pytestmark = pytest.mark.usefixtures("mlflow_store")
TABLE = {"columns": ["truth", "0", "1"], "data": [["0", 4, 1], ["1", 0, 5]]}
DIGITS = DataInput(
    name="digits",
    context="training",
    digest="0123456789abcdef",
    source="a folder/of digits",
    shape=(28, 14),
    dtype="float32",
    profile={"examples": 7, "class_counts": {"0": 3, "1": 4}},
)


def config(folder: Path, name: str = "mlflow", **values) -> TrackingConfig:
    defaults = {"uri": None, "experiment": "sweeps", "log_model": True, "wait": 60.0, "hidden": []}
    defaults |= {"system_metrics_every_s": None, "pictures": False}
    defaults |= {"registered_model": None}
    return TrackingConfig(name=name, dir=str(folder), **{**defaults, **values})


def opened(folder: Path, name: str = "mlflow", **values) -> Tracking:
    folder.mkdir(exist_ok=True)
    return open_tracking(config(folder, name, **values), folder)


def started(tracking: Tracking, record: RunRecord) -> Run:
    run = tracking.start(record, new_key())
    assert tracking.flush(60) is None
    return run


def table(folder: Path) -> Path:
    path = folder / "confusion.json"
    path.write_text(json.dumps(TABLE))
    return path


@pytest.fixture(params=STORES)
def tracking(request, tmp_path):
    return opened(tmp_path, request.param)


@pytest.fixture
def client(tmp_path):
    """MLflow's own client on the store that `mlflow ui` opens in the folder."""
    return MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")


@pytest.mark.parametrize("outcome", [Completed((0.5,)), Pruned(3), Failed("why", "traceback")])
def test_every_store_takes_a_whole_run(tracking, tmp_path, outcome):
    run = tracking.start(RunRecord("a run", params={"x": "1"}, tags={"t": "2"}), new_key())
    run.log([Point("loss", 0.5, 1), Point("loss", 0.4, 2)])
    run.tag({"more": "tags"})
    run.add_text("text", "file.txt")
    (tmp_path / "picture.png").write_bytes(b"png")
    run.add_file(tmp_path / "picture.png")
    run.add_file(tmp_path / "picture.png", "pictures/more")
    run.add_table(table(tmp_path), "validation")
    run.add_data([DIGITS])
    run.end(outcome)
    run.log([Point("test_loss", 0.3, 0)])
    again = tracking.run(run.key)
    assert again.key == run.key
    again.log([Point("test_accuracy", 0.9, 0)])
    again.settle()
    assert tracking.has(run.key)
    assert tracking.flush(30) is None
    assert tracking.refusal() is None
    assert not (tmp_path / JOURNAL).exists()


@pytest.mark.parametrize(
    ("outcome", "status", "tags"),
    [
        (Completed((0.5,)), "FINISHED", {"seqsweep.outcome": "completed"}),
        (Pruned(3), "KILLED", {"seqsweep.outcome": "pruned", "seqsweep.pruned_at": "3"}),
        (Failed("why"), "FAILED", {"seqsweep.outcome": "failed", "seqsweep.reason": "why"}),
    ],
)
def test_an_outcome_is_the_runs_state(tmp_path, client, outcome, status, tags):
    run = started(opened(tmp_path), RunRecord("a run"))
    assert client.get_run(run.id).info.status == "RUNNING"
    run.end(outcome)
    run.settle()
    seen = client.get_run(run.id)
    assert seen.info.status == status
    assert tags.items() <= seen.data.tags.items()


def test_a_curve_arrives_whole_in_order_and_at_its_steps(tmp_path, client):
    run = started(opened(tmp_path), RunRecord("a run"))
    run.log([Point("loss", 1 / (step + 1), step, 1000 + step) for step in range(2500)])
    run.settle()
    history = client.get_metric_history(run.id, "loss")
    assert [(m.step, m.value, m.timestamp) for m in history] == [
        (step, 1 / (step + 1), 1000 + step) for step in range(2500)
    ]


def test_more_params_than_one_call_takes_are_all_kept(tmp_path, client):
    params = {f"p{i}": str(i) for i in range(250)}
    run = started(opened(tmp_path), RunRecord("a run", params=params))
    assert client.get_run(run.id).data.params == params


def test_a_child_run_lies_below_its_parent(tmp_path, client):
    tracking = opened(tmp_path)
    parent = tracking.start(RunRecord("sweep"), new_key())
    child = started(tracking, RunRecord("trial", parent=parent.key))
    assert client.get_run(child.id).data.tags["mlflow.parentRunId"] == parent.id


def test_artifacts_lie_in_the_projects_folder_wherever_the_program_was_started(
    tmp_path, client, monkeypatch
):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    run = started(opened(tmp_path / "home"), RunRecord("a run"))
    run.add_text("text", "file.txt")
    run.settle()
    (kept,) = (tmp_path / "home" / "mlruns" / "artifacts").rglob("file.txt")
    assert kept.read_text() == "text"
    assert list(elsewhere.iterdir()) == []


def test_a_file_lies_in_the_folder_of_the_run_that_was_named(tmp_path, client):
    run = started(opened(tmp_path), RunRecord("a run"))
    (tmp_path / "picture.png").write_bytes(b"png")
    run.add_file(tmp_path / "picture.png")
    run.add_file(tmp_path / "picture.png", "pictures/more")
    run.settle()
    listed = [client.list_artifacts(run.id, place) for place in ("", "pictures/more")]
    assert [[f.path for f in files if not f.is_dir] for files in listed] == [
        ["picture.png"],
        ["pictures/more/picture.png"],
    ]


def test_a_data_set_is_the_runs_input_with_all_that_is_known_of_it(tmp_path, client):
    tracking = opened(tmp_path)
    runs = [started(tracking, RunRecord(name)) for name in ("a run", "another")]
    others = dataclasses.replace(DIGITS, context="validation", digest="fedcba9876543210")
    for run in runs:
        run.add_data([DIGITS, others])
    assert tracking.flush(30) is None
    for run in runs:
        inputs = client.get_run(run.id).inputs.dataset_inputs
        contexts = {i.dataset.digest: {tag.key: tag.value for tag in i.tags} for i in inputs}
        assert contexts == {
            DIGITS.digest: {"mlflow.data.context": "training"},
            others.digest: {"mlflow.data.context": "validation"},
        }
        assert {i.dataset.name for i in inputs} == {"digits"}
        assert [json.loads(i.dataset.profile) for i in inputs] == [DIGITS.profile] * 2
    # MLflow's own reading of what it says of a data set
    source = mlflow.data.get_source(inputs[0])
    assert source.uri == "a folder/of digits"
    schema = TensorDatasetSchema.from_dict(json.loads(inputs[0].dataset.schema))
    assert schema.features.inputs[0].shape == (-1, 28, 14)
    assert schema.features.inputs[0].type == np.float32


def test_all_that_a_job_reports_is_recorded_and_once_though_each_request_is_sent_twice(
    tmp_path, client, monkeypatch
):
    tracking = opened(tmp_path)
    run = started(tracking, RunRecord("a run"))
    done, do = [], tracking.store.do

    def answer_lost(entries, *, is_doubtful=False) -> None:
        do(entries, is_doubtful=is_doubtful)
        if entries not in done:
            done.append(entries)
            raise StoreAway("its answer came too late")

    monkeypatch.setattr(tracking.store, "do", answer_lost)
    (tmp_path / "picture.png").write_bytes(b"png")
    files = (File(tmp_path / "picture.png", "pictures"), File(table(tmp_path), is_table=True))
    record(run, Report((Point("loss", 1.0, 3),), data=(DIGITS,), files=files))
    assert tracking.flush(60) is None
    assert len(done) == 4
    assert curve(client, run) == [(3, 1.0)]
    assert [f.path for f in client.list_artifacts(run.id, "pictures")] == ["pictures/picture.png"]
    seen = client.get_run(run.id)
    assert len(seen.inputs.dataset_inputs) == 1
    assert json.loads(seen.data.tags["mlflow.loggedArtifacts"]) == [
        {"path": "confusion.json", "type": "table"}
    ]


def test_runs_may_be_written_from_several_threads_at_once(tmp_path, client):
    tracking = opened(tmp_path)

    def one(number: int) -> None:
        run = tracking.start(RunRecord(f"run {number}", params={"number": str(number)}), new_key())
        for step in range(5):
            run.log([Point("loss", float(number), step)])
        run.end(Completed((float(number),)))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tracking.flush(60) is None
    (experiment,) = client.search_experiments(filter_string="name = 'sweeps'")
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(run.data.params["number"] for run in runs) == [str(n) for n in range(8)]
    for run in runs:
        history = client.get_metric_history(run.info.run_id, "loss")
        assert [m.value for m in history] == [float(run.data.params["number"])] * 5


def test_the_environment_names_the_store_where_the_configuration_names_none(tmp_path, monkeypatch):
    uri = f"sqlite:///{tmp_path / 'other.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    run = started(opened(tmp_path / "unused"), RunRecord("a run"))
    assert MlflowClient(uri).get_run(run.id).info.status == "RUNNING"
    assert list((tmp_path / "unused").iterdir()) == []


@pytest.mark.parametrize("uri", ["sqlite:////proc/none/mlflow.db", "nosuch://store"])
def test_a_store_that_cannot_be_opened_is_named_in_one_line(tmp_path, uri):
    with pytest.raises(TrackingError, match="fails: ") as caught:
        opened(tmp_path, uri=uri)
    assert uri in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_deleted_experiment_is_not_written_to_in_silence(tmp_path, client):
    opened(tmp_path)
    (experiment,) = client.search_experiments(filter_string="name = 'sweeps'")
    client.delete_experiment(experiment.experiment_id)
    with pytest.raises(TrackingError, match="restore"):
        opened(tmp_path)


def curve(client: MlflowClient, run: Run) -> list[tuple[int, float]]:
    return [(m.step, m.value) for m in client.get_metric_history(run.id, "loss")]


def test_a_run_is_reopened_and_found_by_its_key_in_another_program(tmp_path, client):
    run = started(opened(tmp_path), RunRecord("a sweep"))
    run.end(Failed("interrupted"))
    run.settle()
    later = opened(tmp_path)
    assert later.has(run.key)
    assert not later.has(new_key())
    again = later.reopen(run.key)
    again.settle()
    seen = client.get_run(again.id)
    assert again.id == run.id
    assert seen.info.status == "RUNNING"
    assert not {"seqsweep.outcome", "seqsweep.reason"} & seen.data.tags.keys()


def test_only_the_runs_of_a_sweep_that_have_not_ended_are_running(tmp_path):
    tracking = opened(tmp_path)
    tags = [{"seqsweep.sweep": sweep, "seqsweep.trial": str(n)} for n, sweep in enumerate("aaab")]
    runs = [tracking.start(RunRecord("a trial", tags=each), new_key()) for each in tags]
    runs[1].end(Completed((1.0,)))
    assert tracking.flush(30) is None
    assert sorted((n, run.key) for run, n in tracking.running("a")) == [
        (0, runs[0].key),
        (2, runs[2].key),
    ]


def test_what_the_store_refuses_is_told_once_and_does_not_stop_the_rest(tmp_path, client):
    tracking = opened(tmp_path)
    refused = started(tracking, RunRecord("refused"))
    client.delete_run(refused.id)
    refused.log([Point("loss", 1.0, 1)])
    other = started(tracking, RunRecord("other"))
    other.log([Point("loss", 2.0, 1)])
    with pytest.raises(TrackingError, match="deleted"):
        refused.settle()
    other.settle()
    assert tracking.flush(30) is None
    assert "the records of 1 run are not whole: the MLflow store" in tracking.refusal()
    assert curve(client, other) == [(1, 2.0)]


def test_tables_are_told_to_mlflows_pages_each_once(tmp_path, client, monkeypatch):
    run = started(opened(tmp_path), RunRecord("a run"))
    for name in ("a.json", "b.json", "a.json"):
        (tmp_path / name).write_text('{"columns": ["x"], "data": [[1], [2]]}')
        run.add_table(tmp_path / name, "report")
        run.settle()
    assert json.loads(client.get_run(run.id).data.tags["mlflow.loggedArtifacts"]) == [
        {"path": "report/a.json", "type": "table"},
        {"path": "report/b.json", "type": "table"},
    ]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    loaded = client.load_table(client.get_run(run.id).info.experiment_id, "report/a.json", [run.id])
    assert list(loaded["x"]) == [1, 2]

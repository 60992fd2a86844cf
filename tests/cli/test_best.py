"""`seqsweep best` against Optuna's best trials and MLflow's own client."""

import contextlib
import shlex
import shutil
import socket
import threading

import pytest
from mlflow import MlflowClient


@pytest.mark.parametrize("name", ["sphere-1", "sphere-2"])
def test_the_best_trial_is_optunas(asked, swept, study, name):
    told = asked("best", name, cwd=swept)
    (trial,) = told["trials"]
    direct = study(name).best_trial
    assert (told["sweep"], told["objectives"]) == (name, {"value": "minimize"})
    assert (trial["number"], trial["values"]) == (direct.number, {"value": direct.value})
    assert trial["params"] == direct.params
    assert trial["seconds"] == direct.duration.total_seconds()


def test_the_front_is_optunas(asked, swept, study):
    told = asked("best", "two_objectives", cwd=swept)
    direct = {t.number: (t.params, t.values) for t in study("two_objectives-1").best_trials}
    found = {t["number"]: (t["params"], list(t["values"].values())) for t in told["trials"]}
    assert found == direct
    assert len(found) > 1


def test_without_a_name_it_is_the_sweep_whose_trial_began_last(asked, swept, study):
    assert asked("best", cwd=swept)["sweep"] == "two_objectives-1"


def test_the_run_is_that_of_mlflow(asked, swept, runs_by_trial, tmp_path):
    copy = shutil.copytree(swept, tmp_path / "copy")
    (told,) = asked("best", "sphere-2", cwd=swept)["trials"]
    runs = {run.info.run_id: run for run in runs_by_trial(copy, "sphere")[str(told["number"])]}
    run = runs[told["run_id"]]
    assert run.data.tags["seqsweep.study"] == "sphere-2"
    assert run.data.metrics["objective"] == told["values"]["value"]


def test_without_mlflows_store_the_rest_is_told(asked, swept, study):
    (told,) = asked("best", "sphere-1", "--tracking-uri", "gone.db", cwd=swept)["trials"]
    assert told["number"] == study("sphere-1").best_trial.number
    assert told["missing"].startswith(f"there is no MLflow store at {swept}/gone.db")
    assert not (swept / "gone.db").exists()


def test_a_store_behind_a_server_is_asked(asked, sweep, mlflow_server, tmp_path):
    server = mlflow_server(tmp_path / "server")
    server.start()
    try:
        uri = server.uri
        tracking = f"hydra.sweeper.tracking.uri={uri}"
        sweep("sphere", "x=1,2", "hydra.sweeper.n_trials=2", tracking, cwd=tmp_path)
        (told,) = asked("best", cwd=tmp_path, MLFLOW_TRACKING_URI=uri)["trials"]
        run = MlflowClient(uri).get_run(told["run_id"])
        assert run.data.metrics["objective"] == told["values"]["value"]
        rows = asked("compare", told["run_id"], "sphere-1/0", "--tracking-uri", uri, cwd=tmp_path)
        assert {row["name"] for row in rows["sections"]["metrics"]} == set(run.data.metrics)
    finally:
        server.kill()


def test_the_command_trains_it_again_to_the_same_value(asked, swept, program, root, tmp_path):
    (told,) = asked("best", "sphere-2", cwd=swept)["trials"]
    python, script, *words = shlex.split(told["train_again"])
    assert (python, script) == ("python", "sphere.py")
    app = tmp_path / script
    source = (root / "tests" / "apps" / script).read_text()
    app.write_text(source.replace("return cfg", "print(repr(cfg.x**2 + cfg.y**2)); return cfg"))
    ended = program(app, *words, cwd=tmp_path)
    assert float(ended.stdout) == told["values"]["value"]


def test_a_sweep_without_a_completed_trial_has_no_best(seqsweep, program, root, tmp_path):
    app = root / "tests" / "apps" / "sphere.py"
    stores = ["hydra.sweeper.storage=studies.db", "hydra.sweep.dir=jobs"]
    stores += ["hydra.sweeper.tracking.name=none"]
    ended = program(app, "-m", *stores, "x=choice(a,b)", "hydra.sweeper.n_trials=2", cwd=tmp_path)
    assert ended.returncode == 1
    said = seqsweep("best", "--storage", "studies.db", cwd=tmp_path)
    assert said.returncode == 1
    assert said.stderr == "error: sphere-1 has no best trial yet: 2 failed\n"


def test_the_project_s_best_has_its_test_accuracy_and_its_model(asked, seqsweep, program, project):
    ended = program(project / "src" / "run.py", "-m", "sweep=tiny", cwd=project)
    assert ended.returncode == 0, ended.stderr
    (told,) = asked("best", cwd=project)["trials"]
    client = MlflowClient(f"sqlite:///{project}/mlflow.db")
    run = client.get_run(told["run_id"])
    assert told["evaluated"]["test_accuracy"] == run.data.metrics["test_accuracy"]
    assert told["train_again"] == f"python src/run.py +rerun={told['run_id']}"
    experiment = run.info.experiment_id
    (model,) = client.search_logged_models([experiment])
    assert told["model"] == f"models:/{model.model_id}"
    assert f"model  {told['model']}" in seqsweep("best", cwd=project).stdout


def test_a_store_that_hangs_is_waited_for_once(asked, swept, monkeypatch):
    heard = []

    def hear(server: socket.socket) -> None:
        with contextlib.suppress(OSError):  # it is closed
            while True:
                heard.append(server.accept())

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=hear, args=[server], daemon=True).start()
        uri = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        trials = asked("best", "two_objectives", "--tracking-uri", uri, cwd=swept)["trials"]
    assert len(trials) > 2
    assert len(heard) == 1
    assert all(uri in trial["missing"] for trial in trials)
    for connection, _address in heard:
        connection.close()

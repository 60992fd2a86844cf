"""A sweep that is interrupted or killed leaves no process behind, and no state that lies."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient

SWEEP = [
    "-m",
    "hydra/sweeper/sampler=random",
    "hydra.sweeper.n_trials=6",
    "training.epochs=1000",
    "model.n_hidden=choice(8,16)",
]


@pytest.fixture
def sweep(project):
    """A sweep whose trials would train for an hour, once the first of them reports."""
    process = subprocess.Popen(
        [sys.executable, str(project / "src" / "run.py"), *SWEEP],
        cwd=project.parent,
        env={k: v for k, v in os.environ.items() if k != "CI"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: len(reporting(project)) > 0, seconds=90)
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


def trials(project: Path) -> list[optuna.trial.FrozenTrial]:
    url = f"sqlite:///{project / 'mlruns' / 'optuna.db'}"
    return optuna.load_study(study_name="run-1", storage=url).trials


def reporting(project: Path) -> list[optuna.trial.FrozenTrial]:
    try:
        return [trial for trial in trials(project) if trial.intermediate_values]
    except Exception:  # the store is not there yet
        return []


def processes_of(project: Path) -> list[int]:
    """Gives the processes whose output goes into this project's job folders."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                output = (entry / "fd" / "1").readlink()
            except OSError:
                continue
            if output.is_relative_to(project):
                found.append(int(entry.name))
    return found


def wait_until(holds, *, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.1)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupted_sweep_closes_everything_and_exits_with_130(sweep, project, name):
    assert processes_of(project)
    sweep.send_signal(signal.Signals[name])
    began = time.monotonic()
    said, errors = sweep.communicate(timeout=60)
    assert time.monotonic() - began < 5
    assert sweep.returncode == 130
    assert "Traceback" not in said + errors
    assert "interrupted" in said
    assert processes_of(project) == []

    client = MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    (experiment,) = client.search_experiments(filter_string="name = 'seqsweep'")
    runs = {run.info.run_id: run for run in client.search_runs([experiment.experiment_id])}
    ended = trials(project)
    assert 1 <= len(ended) <= 2
    for trial in ended:
        assert trial.state is optuna.trial.TrialState.FAIL
        assert trial.user_attrs["reason"] == "interrupted"
        run = runs.pop(trial.user_attrs["mlflow_run_id"])
        assert run.info.status == "FAILED"
        assert run.data.tags["seqsweep.reason"] == "interrupted"
    (sweep_run,) = runs.values()
    assert sweep_run.info.status == "FAILED"


def test_the_trials_of_a_killed_sweep_end_by_themselves(sweep, project):
    assert processes_of(project)
    sweep.kill()
    sweep.wait()
    wait_until(lambda: processes_of(project) == [], seconds=5)


MOMENTS = {
    "while the stores open": lambda project, said: (project / "mlruns" / "optuna.db").exists(),
    "before the first report": lambda project, said: bool(processes_of(project)),
    "while the best is evaluated": lambda project, said: "1 completed" in "".join(said),
}


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_signal_at_any_moment_ends_in_130_and_leaves_no_run_running(project, moment, name):
    process = subprocess.Popen(
        [sys.executable, "-u", str(project / "src" / "run.py"), "-m", "sweep=tiny"],
        cwd=project.parent,
        env={k: v for k, v in os.environ.items() if k != "CI"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    said: list[str] = []
    reader = threading.Thread(target=lambda: said.extend(iter(process.stdout.readline, "")))
    reader.start()
    wait_until(lambda: MOMENTS[moment](project, said), seconds=90)
    process.send_signal(signal.Signals[name])
    errors = process.stderr.read()
    process.wait(timeout=60)
    reader.join()
    process.stdout.close()
    process.stderr.close()
    assert process.returncode == 130, (errors, said)
    assert "Traceback" not in "".join(said) + errors
    assert processes_of(project) == []
    if (project / "mlflow.db").exists():
        client = MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
        ids = [e.experiment_id for e in client.search_experiments()]
        assert {run.info.status for run in client.search_runs(ids)} <= {"FINISHED", "FAILED"}
        sweeps = client.search_runs(ids, "tags.`seqsweep.kind` = 'sweep'")
        assert {run.info.status for run in sweeps} <= {"FAILED"}
    states = {trial.state.name for trial in existing_trials(project)}
    assert states <= {"COMPLETE", "FAIL"}


def existing_trials(project: Path) -> list[optuna.trial.FrozenTrial]:
    url = f"sqlite:///{project / 'mlruns' / 'optuna.db'}"
    names = optuna.get_all_study_names(url)
    return [t for name in names for t in optuna.load_study(study_name=name, storage=url).trials]

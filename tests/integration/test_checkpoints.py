"""A sweep that is interrupted or killed inside a trial gives the results of one that is not."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient
from optuna.trial import FrozenTrial, TrialState

LONG = 100  # passes of the trial that is ended in its middle
PASSES = f"training.epochs=1,1.25,1.5,1.75,{LONG},2,2.25,2.5,2.75,3"
MODEL = ["model.n_hidden=6", "model.dropout=0.2"]
RARE = ["-m", "hydra/sweeper/sampler=grid", "hydra.sweeper.n_jobs=1", *MODEL]
SWEEP = [*RARE, "training.checkpoint_every_s=0"]
N_STEPS = LONG * 4000 // 128
pytestmark = pytest.mark.usefixtures("mlflow_store")


def trials(project: Path) -> list[FrozenTrial]:
    url = f"sqlite:///{project / 'mlruns' / 'optuna.db'}"
    return optuna.load_study(study_name="run-1", storage=url).trials


def curves(project: Path, trial: FrozenTrial) -> dict[str, list[tuple[int, float, int]]]:
    """Gives (step, value, time) of all points that the run of a trial has, by metric.

    But for those that the machine decides, and no seed.
    """
    client = MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    run_id = trial.user_attrs["mlflow_run_id"]
    names = client.get_run(run_id).data.metrics
    return {
        name: [(m.step, m.value, m.timestamp) for m in client.get_metric_history(run_id, name)]
        for name in names
        if not name.startswith(("system/", "duration_s", "samples_per_s"))
    }


def untimed(of_run: dict[str, list[tuple[int, float, int]]]) -> dict[str, list[tuple]]:
    return {name: [point[:2] for point in points] for name, points in of_run.items()}


def output(project: Path, trial: FrozenTrial) -> str:
    return (project / "mlruns/jobs/run-1" / str(trial.number) / "output.log").read_text()


@pytest.fixture(scope="module")
def whole(tmp_path_factory, copy_project, program) -> Path:
    """The project with a sweep of ten trials that nothing has interrupted."""
    project = copy_project(tmp_path_factory.mktemp("whole") / "project")
    ended = program(project / "src" / "run.py", *SWEEP, PASSES, cwd=project)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return project


def long_one(whole: Path) -> FrozenTrial:
    (trial,) = [t for t in trials(whole) if t.params["training.epochs"] == LONG]
    return trial


def start(project: Path, *more: str, sweep: list[str] = SWEEP) -> subprocess.Popen:
    """Starts a sweep in a group of its own; gives it once its long trial is in its middle."""
    process = subprocess.Popen(
        [sys.executable, str(project / "src" / "run.py"), *sweep, *more],
        start_new_session=True,
        cwd=project,
        env={k: v for k, v in os.environ.items() if k != "CI"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    end = time.monotonic() + 150
    while not any(is_in_its_middle(t) for t in known(project)):
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < end
        time.sleep(0.05)
    return process


def known(project: Path) -> list[FrozenTrial]:
    try:
        return trials(project)
    except Exception:  # the store is not there yet
        return []


def is_in_its_middle(trial: FrozenTrial) -> bool:
    is_long = trial.params.get("training.epochs") == LONG
    return is_long and trial.state is TrialState.RUNNING and len(trial.intermediate_values) >= 3


def process_of(project: Path, number: int) -> int:
    """Gives the process whose output goes into a job's folder."""
    log = project / "mlruns/jobs/run-1" / str(number) / "output.log"
    (found,) = [p for p in Path("/proc").glob("[0-9]*/fd/1") if leads_to(p, log)]
    return int(found.parts[2])


def leads_to(link: Path, file: Path) -> bool:
    try:
        return link.readlink() == file
    except OSError:
        return False


def is_the_same(project: Path, again: FrozenTrial, whole: Path) -> None:
    """Checks that a trial that went on is the one that was not ended, bit for bit."""
    same = long_one(whole)
    assert again.params == same.params
    assert again.state is TrialState.COMPLETE
    assert again.values == same.values
    assert again.intermediate_values == same.intermediate_values
    of_run = curves(project, again)
    assert untimed(of_run) == untimed(curves(whole, same))
    for points in of_run.values():
        steps = [step for step, *_ in points]
        assert steps == sorted(set(steps))


def went_on_after(project: Path, again: FrozenTrial) -> int:
    said = rf"^goes on after step (\d+) of {N_STEPS} from its checkpoint$"
    (step,) = re.findall(said, output(project, again), re.MULTILINE)
    return int(step)


def test_ctrl_c_in_the_fifth_of_ten_trials(whole, project, program):
    process = start(project, PASSES)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    interrupted = trials(project)[4]
    assert interrupted.user_attrs["reason"] == "interrupted"
    assert "the trial was ended by SIGTERM" in output(project, interrupted)
    ended = program(project / "src" / "run.py", *SWEEP, PASSES, cwd=project)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = trials(project)
    assert len(found) == 11
    assert [t.number for t in found if t.state is not TrialState.COMPLETE] == [4]
    settled = {t.params["training.epochs"]: t for t in found if t.values}
    assert len(settled) == 10
    for trial in trials(whole):
        twin = settled[trial.params["training.epochs"]]
        assert twin.values == trial.values
        assert untimed(curves(project, twin)) == untimed(curves(whole, trial))
    again = settled[LONG]
    assert again.user_attrs["retry_of"] == 4
    is_the_same(project, again, whole)
    before, after = curves(project, interrupted), curves(project, again)
    for name, points in before.items():
        assert after[name][: len(points)] == points, "at their own times"
    last = max(step for points in before.values() for step, *_ in points)
    assert went_on_after(project, again) * 128 >= last
    assert not list((project / "mlruns/jobs/run-1").rglob("checkpoint"))


def test_sigterm_of_all_processes_as_a_cluster_sends_it(whole, project, program):
    """No checkpoint is due but the one that an interrupt is given time for."""
    command = f"training.epochs={LONG},1"
    process = start(project, command, sweep=RARE)
    os.killpg(process.pid, signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    ended = program(project / "src" / "run.py", *RARE, command, cwd=project)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (again,) = [t for t in trials(project) if t.user_attrs.get("retry_of") == 0]
    assert went_on_after(project, again) > 0
    is_the_same(project, again, whole)


def test_sigkill_of_a_trials_process_with_retries(whole, project):
    process = start(project, f"training.epochs={LONG},1", "hydra.sweeper.max_retries=1")
    os.kill(process_of(project, 0), signal.SIGKILL)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    killed, *others = trials(project)
    assert "SIGKILL" in killed.user_attrs["reason"]
    (again,) = [t for t in others if t.user_attrs.get("retry_of") == 0]
    assert went_on_after(project, again) > 0
    is_the_same(project, again, whole)


def test_sigkill_of_the_whole_sweep(whole, project, program):
    command = f"training.epochs={LONG},1"
    process = start(project, command)
    process.kill()
    process.communicate()
    ended = program(project / "src" / "run.py", *SWEEP, command, cwd=project)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (again,) = [t for t in trials(project) if t.user_attrs.get("retry_of") == 0]
    assert went_on_after(project, again) > 0
    is_the_same(project, again, whole)

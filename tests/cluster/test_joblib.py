"""Workers in processes of one machine, which joblib starts; and those of submitit_local."""

import json
import os
import secrets
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
pytestmark = pytest.mark.cluster
TWO = ["hydra/launcher=joblib", "hydra.sweeper.n_workers=2"]


def join(folder: Path, study: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "seqsweep", "worker", f"--study={study}"]
    command += [f"--storage={folder.name}/swept/optuna.db"]
    return subprocess.Popen(command, cwd=folder.parent, stderr=subprocess.PIPE, text=True)


def test_two_workers_share_the_trials_and_run_exactly_as_many_as_were_asked_for(sweep, whole):
    two = sweep(*TWO)
    assert two.wait() == 0, two.output
    whole(two)
    assert len(two.trials()) == 12
    assert "12 trials on 2 workers (joblib)" in two.output
    logs = [(two.folder / f"swept/workers/{i}/output.log").read_text() for i in (0, 1)]
    assert sum(log.count("completed") for log in logs) == 12
    assert all("completed" in log for log in logs)
    assert not (two.folder / "swept/workers/worker.pkl").exists()  # it holds addresses
    for study, says in (
        ("slow_sphere-1", "no sweep runs it now that"),
        ("other", "there is no sweep"),
    ):
        ended = join(two.folder, study)
        assert says in ended.stderr.read()
        assert ended.wait() == 1
        ended.stderr.close()


def test_a_worker_that_is_killed_costs_no_trial(sweep, whole, soon):
    two = sweep(*TWO, soon, "seconds=1")
    two.wait_for_trials(3)
    os.kill(two.workers()[two.worker_at_step(3)], signal.SIGKILL)
    assert two.wait() == 0, two.output
    whole(two)
    assert max(two.steps_before_retries()) >= 3


def test_ctrl_c_ends_all_workers_and_the_same_command_goes_on(sweep, whole):
    two = sweep(*TWO)
    two.wait_for_trials(3)
    two.ctrl_c()
    assert two.wait(seconds=25) == 130, two.output
    assert two.workers() == {}
    assert "RUNNING" not in two.states()
    assert {state for state, _ in two.runs()} <= {"FINISHED", "FAILED", "KILLED"}
    again = sweep(*TWO)
    assert again.wait() == 0, again.output
    whole(again)


@pytest.mark.parametrize(
    ("send", "number"),
    [(os.killpg, signal.SIGINT), (os.killpg, signal.SIGTERM), (os.kill, signal.SIGTERM)],
)
def test_a_signal_ends_one_worker_that_joblib_runs_in_the_program_itself(
    sweep, whole, send, number
):
    command = ["hydra/launcher=joblib", "hydra.sweeper.n_trials=4", "seconds=0.7"]
    one = sweep(*command)
    one.wait_for_trials(1)
    assert one.workers() == {"0": one.process.pid}
    send(one.process.pid, number)
    assert one.wait(seconds=20) == 130, one.output
    assert "RUNNING" not in one.states()
    again = sweep(*command)
    assert again.wait() == 0, again.output
    whole(again, finished=4)


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_workers_end_within_seconds_of_a_controller_that_is_killed(sweep, whole):
    two = sweep(*TWO, "seconds=60")
    two.wait_until(lambda: two.states()["RUNNING"] == 2)
    workers = two.workers()
    assert workers.keys() == {"0", "1"}
    two.process.kill()
    two.wait()
    end = time.monotonic() + 10
    while two.workers() and time.monotonic() < end:
        time.sleep(0.1)
    assert two.workers() == {}
    assert [pid for pid in workers.values() if lives(pid)] == []


def test_a_worker_that_a_person_starts_joins_the_sweep_and_may_leave_it(sweep, whole):
    one = sweep("hydra/launcher=joblib", "seconds=1")
    one.wait_until(lambda: one.states()["RUNNING"] == 1)
    joined = join(one.folder, "slow_sphere-1")
    name = f"{socket.gethostname()}-{joined.pid}"

    def its_trials() -> list[str]:
        return [t.state.name for t in one.trials() if t.user_attrs.get("worker") == name]

    try:
        one.wait_until(lambda: "RUNNING" in its_trials())
        joined.send_signal(signal.SIGINT)
        assert joined.wait(timeout=20) == 130
    finally:
        joined.kill()
        joined.wait()
        joined.stderr.close()
    assert one.wait() == 0, one.output
    whole(one)
    assert "RUNNING" not in its_trials()


LOGS_A_TOKEN = """\
import logging, os

def more(cfg, trial):
    logging.getLogger("spaces").warning("the token is %s", os.environ["OWN_TOKEN"])
"""


def test_what_a_workers_space_logs_is_masked(sweep, tmp_path):
    token = secrets.token_hex(8)
    space = "hydra.sweeper.custom_search_space=spaces.more"
    (tmp_path / "spaces.py").write_text(LOGS_A_TOKEN)
    variables = {"OWN_TOKEN": token, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    two = sweep(*TWO, "hydra.sweeper.n_trials=2", space, **variables)
    assert two.wait() == 0, two.output
    logs = list((two.folder / "swept/workers").glob("*/slow_sphere.log"))
    said = "".join(log.read_text() for log in logs)
    assert "the token is ***" in said
    assert token not in said


def test_records_of_a_worker_that_mlflow_refuses_are_told_at_the_end(sweep, tmp_path):
    left = tmp_path / "swept/workers/9/unsent.jsonl"  # by a worker that was killed
    left.parent.mkdir(parents=True)
    store = {"uri": f"sqlite:///{tmp_path}/mlflow.db", "dir": str(tmp_path)}
    to_no_run = {"run": "unknown", "what": "tag", "arguments": {"tags": {"a": "b"}}}
    lines = [json.dumps(each) for each in ({**store, "experiment": "slow_sphere"}, to_no_run)]
    left.write_text("".join(f"{line}\n" for line in lines))
    one = sweep("hydra/launcher=joblib", "hydra.sweeper.n_trials=1")
    assert one.wait() == 1, one.output
    assert "1 completed" in one.output
    assert "worker 9: the records of 1 run are not whole" in one.output
    assert not left.exists()


def test_a_grid_is_dealt_to_all_workers_each_point_once(sweep, whole):
    grid = ["hydra/sweeper/sampler=grid", "x=range(0,4)", "y=choice(1,2,3)", "seconds=0.05"]
    two = sweep(*TWO, *grid)
    assert two.wait() == 0, two.output
    points = sorted((trial.params["x"], trial.params["y"]) for trial in two.trials())
    assert points == [(x, y) for x in range(4) for y in (1, 2, 3)]


def test_many_workers_of_short_trials_overshoot_by_none(sweep, whole):
    many = sweep(
        "hydra/launcher=joblib",
        "hydra.launcher.n_jobs=4",
        "hydra.sweeper.n_workers=4",
        "seconds=0",
        "hydra.sweeper.n_trials=40",
        "hydra.sweeper.tracking.name=none",
    )
    assert many.wait() == 0, many.output
    assert many.states() == {"COMPLETE": 40}


def test_submitit_starts_workers_on_this_machine_and_a_killed_one_costs_no_trial(
    sweep, whole, soon
):
    token = secrets.token_hex(8)
    local = [soon, "hydra/launcher=submitit_local", "hydra.sweeper.n_workers=2"]
    two = sweep(*local, SEQSWEEP_OWN_TOKEN=token)
    two.wait_for_trials(2)
    own = two.folder / "swept/.submitit"  # it holds the config and the environment
    assert stat.S_IMODE(own.stat().st_mode) == 0o700
    assert any(token.encode() in file.read_bytes() for file in own.rglob("*.pkl"))
    os.kill(two.workers()["1"], signal.SIGKILL)
    assert two.wait() == 0, two.output
    whole(two)
    assert list(own.rglob("*.pkl")) == []
    files = [file for file in two.folder.rglob("*") if file.is_file()]
    assert [file for file in files if token.encode() in file.read_bytes()] == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["hydra.sweeper.n_workers=2"], "n_workers=2 needs a launcher that starts processes"),
        (["hydra/launcher=joblib", "hydra.sweeper.n_workers=0"], "n_workers"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(sweep, arguments, says):
    refused = sweep(*arguments)
    assert refused.wait() == 1
    assert says in refused.output
    assert "Traceback" not in refused.output


def test_a_worker_that_cannot_run_ends_the_sweep_in_a_sentence(sweep):
    refused = sweep(*TWO, "hydra.sweeper.devices.name=gpu", CUDA_VISIBLE_DEVICES="")
    assert refused.wait() == 1
    assert "devices.name=gpu" in refused.output
    assert "Traceback" not in refused.output

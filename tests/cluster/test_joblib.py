"""Workers in processes of one machine, which joblib starts; and those of submitit_local."""

import os
import signal
import time

import pytest

pytestmark = pytest.mark.cluster
TWO = ["hydra/launcher=joblib", "hydra.sweeper.n_workers=2"]


def test_two_workers_share_the_trials_and_run_exactly_as_many_as_were_asked_for(sweep, whole):
    two = sweep(*TWO)
    assert two.wait() == 0, two.output
    whole(two)
    assert len(two.trials()) == 12
    assert "12 trials on 2 workers (joblib)" in two.output
    logs = [(two.folder / f"swept/workers/{i}/output.log").read_text() for i in (0, 1)]
    assert sum(log.count("completed") for log in logs) == 12
    assert all("completed" in log for log in logs)


def test_a_worker_that_is_killed_costs_no_trial(sweep, whole):
    two = sweep(*TWO)
    two.wait_for_trials(3)
    os.kill(two.workers()["1"], signal.SIGKILL)
    assert two.wait() == 0, two.output
    whole(two)


def test_ctrl_c_ends_all_workers_and_the_same_command_goes_on(sweep, whole):
    two = sweep(*TWO)
    two.wait_for_trials(3)
    os.kill(two.process.pid, signal.SIGINT)
    assert two.wait(seconds=25) == 130, two.output
    assert two.workers() == {}
    assert "RUNNING" not in two.states()
    assert {state for state, _ in two.runs()} <= {"FINISHED", "FAILED", "KILLED"}
    again = sweep(*TWO)
    assert again.wait() == 0, again.output
    whole(again)


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


def test_submitit_starts_workers_on_this_machine_and_a_killed_one_costs_no_trial(sweep, whole):
    two = sweep("hydra/launcher=submitit_local", "hydra.sweeper.n_workers=2")
    two.wait_for_trials(2)
    os.kill(two.workers()["1"], signal.SIGKILL)
    assert two.wait() == 0, two.output
    whole(two)


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

"""Workers that a local Ray cluster of two CPUs runs."""

import os
import signal

import pytest

pytest.importorskip("ray")
pytestmark = pytest.mark.cluster
TWO = [
    "hydra/launcher=ray",
    "hydra.sweeper.n_workers=2",
    "+hydra.launcher.ray.init.num_cpus=2",
    "+hydra.launcher.ray.init.include_dashboard=false",
]


def test_twelve_trials_by_two_workers_outlast_the_death_of_one(sweep, whole, soon):
    two = sweep(*TWO, soon, "seconds=1")
    two.wait_for_trials(3)
    os.kill(two.workers()["1"], signal.SIGKILL)
    assert two.wait() == 0, two.output
    whole(two)


def test_ctrl_c_ends_all_workers(sweep):
    two = sweep(*TWO, "seconds=60")
    two.wait_until(lambda: two.states()["RUNNING"] == 2)
    two.ctrl_c()
    assert two.wait(seconds=40) == 130, two.output
    assert two.workers() == {}

"""Workers that a local Ray cluster of two CPUs runs."""

import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("ray")
pytestmark = pytest.mark.cluster
TWO = [
    "hydra/launcher=ray",
    "hydra.sweeper.n_workers=2",
    "hydra.launcher.ray.init.address=local",
    "+hydra.launcher.ray.init.num_cpus=2",
    "+hydra.launcher.ray.init.include_dashboard=false",
    "+hydra.launcher.ray.init._node_ip_address=127.0.0.1",
]


def test_twelve_trials_by_two_workers_outlast_the_death_of_one(sweep, whole, soon):
    two = sweep(*TWO, soon, "seconds=1")
    two.wait_for_trials(3)
    os.kill(two.workers()["1"], signal.SIGKILL)
    assert two.wait() == 0, two.output
    whole(two)


@pytest.fixture
def cluster(tmp_path_factory) -> Iterator[dict[str, str]]:
    """A cluster that runs before the sweep, in another folder; gives the variables it needs."""
    folder = tmp_path_factory.mktemp("ray")
    own = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    own |= {"RAY_USAGE_STATS_ENABLED": "0"}
    command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block"]
    command += ["--node-ip-address=127.0.0.1", "--port=0", "--num-cpus=2"]
    command += ["--include-dashboard=false", f"--temp-dir={folder}"]
    with (folder / "output.txt").open("w") as output:
        head = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **own}, stdout=output, stderr=output
        )
    try:
        end = time.monotonic() + 60
        while not (found := re.search(r"--address='(.+?)'", (folder / "output.txt").read_text())):
            assert head.poll() is None, (folder / "output.txt").read_text()
            assert time.monotonic() < end, (folder / "output.txt").read_text()
            time.sleep(0.2)
        yield {**own, "RAY_ADDRESS": found[1]}
    finally:
        head.terminate()
        try:
            head.wait(timeout=20)
        except subprocess.TimeoutExpired:
            head.kill()
            head.wait()


def test_ctrl_c_ends_all_workers_on_a_cluster_that_ran_before(sweep, cluster):
    two = sweep("hydra/launcher=ray", "hydra.sweeper.n_workers=2", "seconds=60", **cluster)
    two.wait_until(lambda: two.states()["RUNNING"] == 2)
    two.ctrl_c()
    assert two.wait(seconds=40) == 130, two.output
    assert two.workers() == {}

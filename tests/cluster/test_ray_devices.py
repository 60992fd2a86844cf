"""A task of a real Ray takes the devices that Ray assigned to it, of GPUs that are made up."""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("ray")
pytestmark = pytest.mark.cluster

PROGRAM = """
import json, ray
ray.init(
    num_cpus=2, num_gpus=2, include_dashboard=False, _node_ip_address="127.0.0.1",
    logging_level="ERROR", log_to_driver=False,
)

@ray.remote
def given():
    from seqsweep.search.workers.allocation import given_cpus, given_gpus
    return given_gpus(), given_cpus()

asked = {"no GPU": {}, "one": {"num_gpus": 1, "num_cpus": 2}, "both": {"num_gpus": 2}}
print(json.dumps({name: ray.get(given.options(**each).remote()) for name, each in asked.items()}))
"""


def test_a_task_of_rays_takes_what_ray_assigned(tmp_path, root):
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\nprintf '0, GPU-0a, 8192, T4\\n1, GPU-1b, 8192, T4\\n'\n")
    smi.chmod(0o755)
    environment = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES"}
    environment["PATH"] = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    environment |= {"PYTHONPATH": str(root / "src"), "RAY_USAGE_STATS_ENABLED": "0"}
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    given = json.loads(ended.stdout.splitlines()[-1])
    assert given["no GPU"] == [[], 1]
    assert len(given["one"][0]) == 1
    assert given["one"][1] == 2
    assert given["both"] == [["0", "1"], 1]

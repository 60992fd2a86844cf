"""Real trials on a real GPU: they share it, see it alone and leave it as it was.

By itself: python -m pytest -m gpu
"""

import json
import subprocess
import time
from pathlib import Path

import pytest
import tensorflow as tf

from seqsweep.gpus import VISIBLE
from seqsweep.search.workers.allocation import given_gpus

APP = Path(__file__).parent.parent / "apps" / "tensorflow_on_gpu.py"
AS_BEFORE_MIB = 64  # by which others may change what is in use meanwhile
AFTER_S = 20  # in which the driver takes back what a process had

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not tf.config.list_physical_devices("GPU"), reason="needs a GPU"),
]


@pytest.fixture
def gpu() -> str:
    """One GPU of those that the tests were given."""
    return given_gpus()[0]


@pytest.fixture
def alone(gpu) -> dict[str, str]:
    """The environment of a program that sees it alone, by nvidia-smi's index."""
    return {VISIBLE: gpu, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


def in_use_mib(gpu: str) -> int:
    command = ["nvidia-smi", f"--id={gpu}", "--query-gpu=memory.used"]
    command += ["--format=csv,noheader,nounits"]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def is_as_before(gpu: str, before_mib: int) -> bool:
    """Waits until no more of the GPU's memory is in use than before, for some seconds."""
    end = time.monotonic() + AFTER_S
    while in_use_mib(gpu) > before_mib + AS_BEFORE_MIB:
        if time.monotonic() > end:
            return False
        time.sleep(0.5)
    return True


def ran(folder: Path) -> list[dict]:
    lines = (folder / "ran.jsonl").read_text().splitlines()
    return sorted(map(json.loads, lines), key=lambda line: line["began"])


def test_two_trials_at_once_share_a_gpu_see_it_alone_and_give_its_memory_back(
    program, tmp_path, gpu, alone
):
    before = in_use_mib(gpu)
    shares = "hydra.sweeper.devices.trials_per_gpu=2"
    ended = program(APP, "-m", shares, cwd=tmp_path, **alone)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"2 slots (gpu:{gpu}, gpu:{gpu})" in ended.stdout
    lines = ran(tmp_path)
    assert [(line["gpus"], line["visible"]) for line in lines] == [(1, gpu)] * 4
    assert all("GPU:0" in line["device"] for line in lines)
    first, second, third, _ = lines
    assert second["began"] < first["ended"]  # two at once
    assert min(first["ended"], second["ended"]) < third["began"]  # and no more
    assert is_as_before(gpu, before)


@pytest.mark.parametrize(("of_limit", "is_refused"), [(0.5, False), (1.5, True)])
def test_a_trial_takes_its_part_of_the_memory_and_no_more(
    program, tmp_path, alone, of_limit, is_refused
):
    devices = "hydra.sweeper.devices"
    split = [f"{devices}.trials_per_gpu=2", f"{devices}.gpu_memory=split"]
    more = [f"of_limit={of_limit}", "seconds=1", "hydra.sweeper.n_trials=2"]
    ended = program(APP, "-m", *split, *more, cwd=tmp_path, **alone)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert [line["is_refused"] for line in ran(tmp_path)] == [is_refused] * 2
    assert "out of use" not in ended.stdout


def test_trials_of_this_project_train_by_cudnn_and_give_the_memory_back(
    program, project, gpu, alone
):
    before = in_use_mib(gpu)
    ended = program(
        project / "src" / "run.py",
        "-m",
        "sweep",
        "devices=gpu",
        "devices.trials_per_gpu=2",
        "tracking=none",
        "training.epochs=1",
        "hydra.sweeper.n_trials=4",
        cwd=project,
        timeout=400,
        TF_CPP_MIN_LOG_LEVEL="0",  # by which TensorFlow tells that it has loaded cuDNN
        **alone,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    outputs = list((project / "mlruns" / "jobs" / "default-1").glob("*/output.log"))
    assert len(outputs) == 4
    for output in outputs:
        assert "Loaded cuDNN version" in output.read_text()
    assert is_as_before(gpu, before)

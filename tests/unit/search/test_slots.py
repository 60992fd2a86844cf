"""Slots follow the devices; no GPU is needed to see that they do."""

import pytest

from seqsweep.config import DevicesConfig
from seqsweep.errors import ConfigError
from seqsweep.search import slots as slots_module
from seqsweep.search.slots import make_slots, visible_gpus


def devices(name: str = "auto", threads: int = 1, trials_per_gpu: int = 1) -> DevicesConfig:
    return DevicesConfig(name=name, threads=threads, trials_per_gpu=trials_per_gpu)


@pytest.fixture
def cores(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(8)), raising=False)


@pytest.fixture
def no_gpu(monkeypatch, cores):
    monkeypatch.setattr(slots_module, "visible_gpus", list)


@pytest.fixture
def two_gpus(monkeypatch, cores):
    monkeypatch.setattr(slots_module, "visible_gpus", lambda: ["0", "1"])


@pytest.mark.parametrize(("threads", "count"), [(1, 8), (3, 2), (8, 1), (64, 1)])
def test_without_a_gpu_each_set_of_cores_is_a_slot(no_gpu, threads, count):
    assert len(make_slots(devices(threads=threads), None)) == count


def test_a_cpu_slot_hides_every_gpu(two_gpus):
    for slot in make_slots(devices("cpu"), None):
        assert slot.environment["CUDA_VISIBLE_DEVICES"] == "-1"


def test_a_slot_tells_tensorflow_what_its_share_is_unless_the_user_has(two_gpus, monkeypatch):
    monkeypatch.delenv("TF_FORCE_GPU_ALLOW_GROWTH", raising=False)
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    (gpu, _), (cpu, *_) = make_slots(devices(), None), make_slots(devices("cpu", 3), None)
    assert gpu.environment["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
    assert cpu.environment["TF_NUM_INTRAOP_THREADS"] == "3"
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "7")
    (cpu, *_) = make_slots(devices("cpu", 3), None)
    assert "TF_NUM_INTRAOP_THREADS" not in cpu.environment


@pytest.mark.parametrize("name", ["auto", "gpu"])
def test_each_gpu_is_a_slot_that_shows_that_gpu_alone(two_gpus, name):
    shown = [slot.environment["CUDA_VISIBLE_DEVICES"] for slot in make_slots(devices(name), None)]
    assert shown == ["0", "1"]


def test_as_many_trials_share_each_gpu_as_are_to_and_none_more_is_on_a_cpu(two_gpus, cores):
    names = [slot.name for slot in make_slots(devices(trials_per_gpu=3), None)]
    assert sorted(names) == ["gpu:0"] * 3 + ["gpu:1"] * 3
    assert len(make_slots(devices("cpu", trials_per_gpu=3), None)) == 8
    assert len(make_slots(devices(trials_per_gpu=3), 1)) == 1  # n_jobs has the last word


def test_more_slots_than_gpus_share_them_evenly(two_gpus):
    names = [slot.name for slot in make_slots(devices(), 5)]
    assert names == ["gpu:0", "gpu:1", "gpu:0", "gpu:1", "gpu:0"]


def test_a_gpu_that_is_asked_for_and_missing_is_an_error(no_gpu):
    with pytest.raises(ConfigError, match="devices=cpu"):
        make_slots(devices("gpu"), None)


@pytest.mark.parametrize(
    ("variable", "gpus"),
    [("0,1", ["0", "1"]), ("3", ["3"]), ("", []), ("-1", []), ("GPU-8f, 2", ["GPU-8f", "2"])],
)
def test_the_gpus_that_the_environment_allows_are_respected(monkeypatch, variable, gpus):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", variable)
    assert visible_gpus() == gpus


@pytest.mark.parametrize(("prints", "exits", "gpus"), [("0\n1\n", 0, ["0", "1"]), ("", 9, [])])
def test_otherwise_the_driver_is_asked(monkeypatch, tmp_path, prints, exits, gpus):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    driver = tmp_path / "nvidia-smi"
    driver.write_text(f"#!/bin/sh\nprintf '{prints}'\nexit {exits}\n")
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert visible_gpus() == gpus

"""What a process takes is what the system says of it; a sampler that fails harms nobody."""

import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from seqsweep.errors import TrackingError
from seqsweep.process import usage
from seqsweep.process.messages import Point
from seqsweep.process.usage import sampled

BUSY = "kept = bytearray(b'x') * 200_000_000\nprint(flush=True)\nwhile True: pass"
IDLE = "import time\nprint(flush=True)\ntime.sleep(60)"


@pytest.fixture
def process():
    """Starts Python with a program that says when it is ready."""
    started = []

    def start(program: str) -> subprocess.Popen:
        started.append(
            subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        )
        started[-1].stdout.readline()
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.communicate()


def samples_of(pid: int, seconds: float, **values) -> list[Point]:
    points: list[Point] = []
    with sampled(pid, points.extend, **{"every_s": 0.2, **values}):
        time.sleep(seconds)
    return points


def values_of(points: list[Point], name: str) -> list[float]:
    return [point.value for point in points if point.name == f"system/{name}"]


def cpu_seconds(pid: int) -> float:
    """As the kernel counts them in /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_cpu_time_and_memory_are_the_kernels_numbers(process):
    busy = process(BUSY).pid
    before, began = cpu_seconds(busy), time.monotonic()
    points = samples_of(busy, 2.0)
    share = (cpu_seconds(busy) - before) / (time.monotonic() - began) * 100
    cpu = values_of(points, "process_cpu_utilization_percentage")
    assert sum(cpu) / len(cpu) == pytest.approx(share, abs=15)
    (memory,) = {round(m) for m in values_of(points, "process_memory_usage_megabytes")}
    pages = int(Path(f"/proc/{busy}/statm").read_text().split()[1])
    resident = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    assert memory == pytest.approx(resident, abs=1)
    assert memory > 200


def test_one_that_waits_takes_no_cpu(process):
    points = samples_of(process(IDLE).pid, 1.0)
    assert max(values_of(points, "process_cpu_utilization_percentage")) < 10


def test_samples_are_counted_from_one(process):
    points = samples_of(process(IDLE).pid, 1.0)
    steps = [p.step for p in points if p.name == "system/process_memory_usage_megabytes"]
    assert steps == list(range(1, len(steps) + 1))
    assert 3 <= len(steps) <= 5


def test_the_first_sample_is_of_the_first_second_however_long_the_interval(process):
    points = samples_of(process(IDLE).pid, 1.5, every_s=3600)
    assert [(p.name, p.step) for p in points] == [
        ("system/process_cpu_utilization_percentage", 1),
        ("system/process_memory_usage_megabytes", 1),
    ]


def test_a_short_trial_has_more_than_one(process):
    points = samples_of(process(IDLE).pid, 3.6, every_s=3600)
    assert [p.step for p in points if "memory" in p.name] == [1, 2]


def test_null_is_never(process):
    assert samples_of(process(IDLE).pid, 1.2, every_s=None) == []


def test_of_a_process_that_ends_there_is_nothing_more(process):
    child = process(IDLE)
    points: list[Point] = []
    with sampled(child.pid, points.extend, every_s=0.1):
        time.sleep(0.5)
        child.kill()
        child.wait()
        count = len(points)
        time.sleep(0.5)
    assert 0 < count <= len(points) <= count + 2


def test_a_store_that_refuses_a_sample_is_asked_for_no_other(process):
    asked = []

    def refuse(points) -> None:
        asked.append(points)
        raise TrackingError("no room")

    with sampled(process(IDLE).pid, refuse, every_s=0.1):
        time.sleep(0.6)
    assert len(asked) == 1


def test_no_sample_is_taken_after_the_block(process):
    points = samples_of(process(IDLE).pid, 0.5, every_s=0.05)
    count = len(points)
    time.sleep(0.3)
    assert len(points) == count > 0


class Nvml:
    """Of NVIDIA's library what is called of it, with one GPU whose parts may not tell."""

    NVMLError = type("NVMLError", (Exception,), {})

    def __init__(self, *, tells: bool = True, is_there: bool = True) -> None:
        self._tells, self._is_there = tells, is_there

    def nvmlInit(self):  # noqa: N802
        if not self._is_there:
            raise self.NVMLError("no driver")

    def nvmlDeviceGetHandleByIndex(self, index):  # noqa: N802
        return ("index", index)

    def nvmlDeviceGetHandleByUUID(self, name):  # noqa: N802
        return ("uuid", name)

    def nvmlDeviceGetMemoryInfo(self, handle):  # noqa: N802
        assert handle in (("index", 1), ("uuid", "GPU-abc"))
        return SimpleNamespace(used=3e9, total=12e9)

    def nvmlDeviceGetUtilizationRates(self, handle):  # noqa: N802
        if not self._tells:
            raise self.NVMLError("not supported")
        return SimpleNamespace(gpu=70)


MEMORY = {"gpu_0_memory_usage_megabytes": 3000.0, "gpu_0_memory_usage_percentage": 25.0}


@pytest.mark.parametrize(
    ("name", "nvml", "expected"),
    [
        ("1", Nvml(), {**MEMORY, "gpu_0_utilization_percentage": 70.0}),
        ("GPU-abc", Nvml(), {**MEMORY, "gpu_0_utilization_percentage": 70.0}),
        ("1", Nvml(tells=False), MEMORY),
        ("1", Nvml(is_there=False), {}),
        ("1", None, {}),
    ],
    ids=["by index", "by UUID", "a part of a GPU", "no driver", "no library"],
)
def test_of_a_gpu_is_told_what_its_library_tells(monkeypatch, process, name, nvml, expected):
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    usage._opened.cache_clear()
    points = samples_of(process(IDLE).pid, 0.3, gpu=name)
    usage._opened.cache_clear()
    told = {p.name.removeprefix("system/"): p.value for p in points if "gpu" in p.name}
    assert told == expected
    assert values_of(points, "process_memory_usage_megabytes")

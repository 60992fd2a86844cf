"""What a process takes of the machine, sampled from a thread of another one, or of its own."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

import psutil

from seqsweep.process.messages import Point

PREFIX = "system/"  # by which MLflow has a page of their own for these metrics
FIRST_S = 1.0
ENDING_S = 1.0  # for a sample that is being taken


@contextlib.contextmanager
def sampled(
    pid: int,
    log: Callable[[Iterable[Point]], None],
    *,
    every_s: float | None,
    gpu: str | None = None,
) -> Iterator[None]:
    """Logs samples of the process while in this block: after 1, 3, 7 s and so on, then `every_s`.

    Whatever goes wrong with it ends the sampling and nothing else. `every_s` None is never; `gpu`
    is the index or UUID of the one that the process uses.
    """
    if every_s is None:
        yield
        return
    ended = threading.Event()

    def sample() -> None:
        with contextlib.suppress(Exception):  # psutil's, where it is gone, NVML's or a store's
            meter = Meter(pid, gpu)
            wait_s = min(FIRST_S, every_s)
            while not ended.wait(wait_s):
                log(meter.points())
                wait_s = min(2 * wait_s, every_s)

    thread = threading.Thread(target=sample, name=f"sampler of {pid}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(ENDING_S)


class Meter:
    """Reads what a process takes, and its GPU with all that runs there."""

    def __init__(self, pid: int, gpu: str | None) -> None:
        self._process = psutil.Process(pid)
        self._process.cpu_percent()  # the first reading is where the next one counts from
        self._gpu = gpu
        self._number = 0

    def points(self) -> list[Point]:
        """Gives the readings since the last ones; their step is how many there have been.

        A full CPU core is 100 %; memory is what is resident, with what a trial inherits.

        Raises:
            psutil.Error: the process is gone.
        """
        with self._process.oneshot():
            values = {
                "process_cpu_utilization_percentage": self._process.cpu_percent(),
                "process_memory_usage_megabytes": self._process.memory_info().rss / 1e6,
            }
        if self._gpu is not None:
            values |= gpu_values(self._gpu)
        self._number += 1
        return [Point(f"{PREFIX}{name}", value, self._number) for name, value in values.items()]


def gpu_values(name: str) -> dict[str, float]:
    """Reads a GPU by its index or UUID; gives what can be read, by MLflow's names for the first.

    To its trial each GPU is the first one, so that the trials of different GPUs share a chart.
    """
    values: dict[str, float] = {}
    nvml, handle = _opened(name)
    if handle is None:
        return values
    with contextlib.suppress(nvml.NVMLError):
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        values["gpu_0_memory_usage_megabytes"] = memory.used / 1e6
        values["gpu_0_memory_usage_percentage"] = memory.used / memory.total * 100
    with contextlib.suppress(nvml.NVMLError):  # a part of a GPU (MIG) does not tell
        rates = nvml.nvmlDeviceGetUtilizationRates(handle)
        values["gpu_0_utilization_percentage"] = float(rates.gpu)
    return values


@cache
def _opened(name: str) -> tuple[Any, Any]:
    """Gives NVML and its handle of that GPU; None for the handle where it cannot be had."""
    try:
        import pynvml
    except ImportError:
        return None, None
    try:
        pynvml.nvmlInit()
        by_name = (
            pynvml.nvmlDeviceGetHandleByIndex(int(name))
            if name.isdecimal()
            else pynvml.nvmlDeviceGetHandleByUUID(name)
        )
    except pynvml.NVMLError:
        return pynvml, None
    return pynvml, by_name

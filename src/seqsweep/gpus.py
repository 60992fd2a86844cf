"""The GPUs of this machine, by NVIDIA's own program, and what programs say of one that has failed.

CUDA is not loaded for it: no process could be forked for a trial after that.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

VISIBLE = "CUDA_VISIBLE_DEVICES"
MEMORY_LIMIT = "SEQSWEEP_GPU_MEMORY_MIB"  # how much a trial may take; unset: what it needs
QUERY = ("--query-gpu=index,uuid,memory.total,name", "--format=csv,noheader,nounits")
TIMEOUT_S = 20
NAME = re.compile(r"0|[1-9][0-9]*|(GPU|MIG)-[0-9A-Za-z/-]+")  # as CUDA takes it

# An error that only a GPU, its driver or its connection can cause, as CUDA and programs say it.
FAILED = re.compile(
    r"CUDA_ERROR_(NO_DEVICE|ECC_UNCORRECTABLE|NVLINK_UNCORRECTABLE|HARDWARE_STACK_ERROR"
    r"|SYSTEM_NOT_READY|SYSTEM_DRIVER_MISMATCH|CONTAINED|EXTERNAL_DEVICE)"
    r"|no CUDA-capable device is detected|No CUDA GPUs are available"
    r"|uncorrectable (ECC|NVLink) error|GPU is lost|fallen off the bus"
    r"|failed call to cuInit(?!.*\b303\b)",  # 303: there is no driver at all
    re.IGNORECASE,
)
# An error that a program may cause as well as a GPU; of wrong arguments only the program is.
OF_ARGUMENTS = r"(?!(INVALID|BAD|NOT_SUPPORTED|NOT_FOUND|UNSUPPORTED|ARCH_MISMATCH))"
SUSPECT = re.compile(
    rf"CUDA_ERROR_{OF_ARGUMENTS}[A-Z_]+|CU(DNN|BLAS)_STATUS_{OF_ARGUMENTS}[A-Z_]+"
    r"|CUDA error: (?!Failed call to cuInit)[^\n]{1,60}"
)
# What follows on it may look like any other error.
OUT_OF_MEMORY = re.compile(r"out.of.memory|OOM when allocating|RESOURCE_?EXHAUSTED", re.IGNORECASE)


@dataclass(frozen=True)
class Gpu:
    """A GPU as nvidia-smi lists it; `memory_mib` is None where it does not say how much it has."""

    index: str
    uuid: str
    memory_mib: int | None
    name: str

    def is_called(self, name: str) -> bool:
        """Says whether that is its index, its UUID or the first part of that."""
        return name == self.index or (not name.isdecimal() and self.uuid.startswith(name))


def list_gpus() -> tuple[Gpu, ...]:
    """Asks nvidia-smi; gives none where there is no such program, or it does not answer.

    One that has failed makes nvidia-smi exit with an error, beside the GPUs that it still lists.
    """
    if shutil.which("nvidia-smi") is None:
        return ()
    try:
        listed = subprocess.run(
            ["nvidia-smi", *QUERY],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(filter(None, map(_gpu_of_line, listed.stdout.splitlines())))


@cache
def listed_gpus() -> tuple[Gpu, ...]:
    """Gives what nvidia-smi listed when this process first asked."""
    return list_gpus()


def _gpu_of_line(line: str) -> Gpu | None:
    index, *others = (part.strip() for part in line.split(",", 3))
    if not index.isdecimal() or len(others) < 3:
        return None
    uuid, memory, name = others
    return Gpu(index, uuid, int(memory) if memory.isdecimal() else None, name)


def gpu_of_slot(slot: str) -> str | None:
    """Gives the GPU that a slot's name names, by index or UUID; None for `cpu`.

    Raises:
        ValueError: it names no device.
    """
    if slot == "cpu":
        return None
    kind, _, gpu = str(slot).partition(":")
    if kind != "gpu" or not NAME.fullmatch(gpu):
        raise ValueError(
            f"{slot!r} is no device: accepted are cpu and gpu: with an index or a UUID, as gpu:0"
        )
    return gpu


def gpu_of(environment: Mapping[str, str]) -> str | None:
    """Gives the first GPU that a process with this environment sees; None without one."""
    return next(iter(gpus_in(environment.get(VISIBLE, ""))), None)


def gpus_in(variable: str) -> list[str]:
    """Reads `CUDA_VISIBLE_DEVICES` as CUDA does, up to the first that is no name of a GPU."""
    names: list[str] = []
    for name in map(str.strip, variable.split(",")):
        if not NAME.fullmatch(name):
            break
        if name not in names:
            names.append(name)
    return names


def limit_mib() -> int | None:
    """Gives how much of its GPU's memory this process may take, None for what it needs."""
    limit = os.environ.get(MEMORY_LIMIT)
    return int(limit) if limit else None


def failure_in(text: str) -> str | None:
    """Gives the words in a program's output by which its GPU has failed; None without any."""
    found = FAILED.search(text)
    return found and found.group()


def suspicion_in(text: str) -> str | None:
    """Gives the words by which its GPU may have failed; None also where it ran out of memory."""
    found = SUSPECT.search(text)
    return None if found is None or OUT_OF_MEMORY.search(text) else found.group()

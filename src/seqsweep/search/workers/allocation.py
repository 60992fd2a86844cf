"""What this process is given of its machine: by CUDA, by SLURM, by Ray and by the system."""

from __future__ import annotations

import os
import sys
from typing import Any

from seqsweep.gpus import VISIBLE, gpus_in, listed_gpus


def given_gpus() -> list[str]:
    """Gives the GPUs that this process may use, by index or UUID."""
    if (variable := os.environ.get(VISIBLE)) is not None:
        return gpus_in(variable)
    if (assigned := _of_ray()) is not None:
        return [str(name) for name in assigned["GPU"]]
    listed = [gpu.index for gpu in listed_gpus()]
    return _slurms(listed) if "SLURM_JOB_ID" in os.environ else listed


def given_cpus() -> int:
    """Gives how many CPUs this process may use, at least one."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    given = [bound or 1]
    if "SLURM_JOB_ID" in os.environ:
        given.append(_number("SLURM_CPUS_PER_TASK") or _number("SLURM_CPUS_ON_NODE"))
    if (assigned := _of_ray()) is not None:
        given.append(int(assigned["CPU"]))
    return max(1, min(count for count in given if count is not None))


def _slurms(listed: list[str]) -> list[str]:
    """Gives those of the listed GPUs that SLURM has given to this job; none where it names none.

    Where it shows a job only its own, they are listed from 0 on, whatever SLURM calls them.
    """
    named = os.environ.get("SLURM_STEP_GPUS") or os.environ.get("SLURM_JOB_GPUS") or ""
    names = gpus_in(named)
    if names and set(names) <= set(listed):
        return names
    count = len(names) or _number("SLURM_GPUS_ON_NODE") or 0
    return listed if len(listed) <= count else []


def _number(variable: str) -> int | None:
    text = os.environ.get(variable, "")
    return int(text) if text.isdecimal() else None


def _of_ray() -> dict[str, Any] | None:
    """Gives the names of the GPUs and the number of CPUs of this Ray task; None where it is none.

    Ray leaves `CUDA_VISIBLE_DEVICES` alone where a task has no GPU.
    """
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return None
    context = ray.get_runtime_context()
    try:
        assigned = context.get_assigned_resources()
    except AssertionError:  # the program that Ray's tasks belong to
        return None
    return {"GPU": context.get_accelerator_ids().get("GPU", []), "CPU": assigned.get("CPU", 1)}

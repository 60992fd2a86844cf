"""Slots: the right to run one trial now."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass

from seqsweep.config import DevicesConfig
from seqsweep.errors import ConfigError

# TensorFlow reads them when it first uses its device, so also where it was imported before.
TF_THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


@dataclass(frozen=True)
class Slot:
    """A share of a device; `environment` makes a trial process see that device alone."""

    name: str
    environment: dict[str, str]


def make_slots(devices: DevicesConfig, n_jobs: int | None) -> list[Slot]:
    """Gives `n_jobs` slots over the devices; None is as many as the devices are to have.

    That is `trials_per_gpu` on each GPU, or without one a slot for each set of CPU threads.

    Raises:
        ConfigError: a GPU is asked for and there is none.
    """
    gpus = [] if devices.name == "cpu" else visible_gpus()
    if devices.name == "gpu" and not gpus:
        raise ConfigError(
            "devices.name=gpu, but nvidia-smi and CUDA_VISIBLE_DEVICES show none; take cpu, as "
            "devices=cpu, or hydra.sweeper.devices.name=cpu in an app without that group"
        )
    if gpus:
        count = n_jobs or len(gpus) * devices.trials_per_gpu
        shares = [gpus[i % len(gpus)] for i in range(count)]
        return [
            Slot(f"gpu:{gpu}", _seeing(gpu, TF_FORCE_GPU_ALLOW_GROWTH="true")) for gpu in shares
        ]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    count = n_jobs or max(1, (cores or 1) // devices.threads)
    threads = dict.fromkeys(TF_THREADS, str(devices.threads))
    return [Slot(f"cpu:{i}", _seeing("-1", **threads)) for i in range(count)]


def _seeing(gpu: str, **variables: str) -> dict[str, str]:
    """Gives the environment of a trial that sees one GPU or none; what the user set stands."""
    own = {name: value for name, value in variables.items() if name not in os.environ}
    return {"CUDA_VISIBLE_DEVICES": gpu, **own}


def visible_gpus() -> list[str]:
    """Gives the GPUs that this process may use, by index or UUID, without loading CUDA."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        names = [name.strip() for name in allowed.split(",") if name.strip()]
        return [] if "-1" in names else names
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return listed.stdout.split()

"""Slots: the right to run one trial now."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from dataclasses import dataclass

from seqsweep.config import DevicesConfig
from seqsweep.errors import ConfigError
from seqsweep.gpus import MEMORY_LIMIT, VISIBLE, gpu_of, gpu_of_slot, listed_gpus
from seqsweep.search.workers.allocation import given_cpus, given_gpus

# TensorFlow reads them when it first uses its device, so also where it was imported before.
TF_THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
# Of each share of a GPU, for CUDA's context and kernels: TensorFlow's limit does not count them.
# By itself it leaves 0.2 to 1.8 GiB, by the GPU's kind (its common_runtime/gpu/gpu_device.cc).
CONTEXT_MIB = 1024


@dataclass(frozen=True)
class Slot:
    """A share of a device; `environment` makes a trial process see that device alone."""

    name: str
    environment: dict[str, str]

    @property
    def gpu(self) -> str | None:
        """The GPU that it is of, None for the CPU."""
        return gpu_of(self.environment)


def make_slots(devices: DevicesConfig, n_jobs: int | None) -> list[Slot]:
    """Gives the slots that are listed, or by the machine; `n_jobs` None is all of them.

    By the machine these are `trials_per_gpu` on each GPU, or without one a slot for each set of CPU
    threads, of what this process is given. More are shares of the same devices.

    Raises:
        ConfigError: a GPU is asked for and there is none, or its memory cannot be split.
    """
    gpus = [] if devices.name == "cpu" else given_gpus()
    if devices.slots is None:
        wanted = _by_machine(devices, gpus, n_jobs)
    else:
        wanted = _listed(devices.slots, gpus, n_jobs)
    shares = Counter(wanted)
    cpus = itertools.count()
    return [
        Slot(f"cpu:{next(cpus)}", _seeing("-1", **_of_cpu(devices)))
        if gpu is None
        else Slot(f"gpu:{gpu}", _seeing(gpu, **_of_gpu(devices, gpu, shares[gpu])))
        for gpu in wanted
    ]


def make_shared_slots(devices: DevicesConfig, n_jobs: int | None, n_workers: int) -> list[Slot]:
    """Gives the slots of all workers of one host, `n_jobs` of each worker.

    Without `n_jobs` they share what `make_slots` gives; where that is less than one for each, and
    the devices are not listed, each has one.

    Raises:
        ConfigError: as `make_slots`; or the listed devices are too few.
    """
    if n_workers == 1:
        return make_slots(devices, n_jobs)
    wanted = n_workers * (n_jobs or 1)
    if devices.slots is not None and wanted > len(devices.slots):
        each = "" if n_jobs is None else f" with hydra.sweeper.n_jobs={n_jobs} each"
        raise ConfigError(
            f"hydra.sweeper.n_workers={n_workers}{each}, but devices.slots lists "
            f"{len(devices.slots)}: name a device once for each of its trials, or take fewer"
        )
    slots = make_slots(devices, n_jobs and wanted)
    return slots if len(slots) >= wanted else make_slots(devices, wanted)


def _by_machine(devices: DevicesConfig, gpus: list[str], n_jobs: int | None) -> list[str | None]:
    if devices.name == "gpu" and not gpus:
        raise ConfigError(
            "devices.name=gpu, but nvidia-smi, CUDA_VISIBLE_DEVICES and the job's allocation show "
            "none; take cpu, as devices=cpu, or hydra.sweeper.devices.name=cpu in an app without "
            "that group"
        )
    if gpus:
        count = n_jobs or len(gpus) * devices.trials_per_gpu
        return [gpus[i % len(gpus)] for i in range(count)]
    return [None] * (n_jobs or max(1, given_cpus() // devices.threads))


def _listed(slots: tuple[str, ...], gpus: list[str], n_jobs: int | None) -> list[str | None]:
    wanted = [gpu_of_slot(slot) for slot in slots]
    for gpu in wanted:
        if gpu is not None and gpu not in gpus:
            accepted = ", ".join(["cpu", *(f"gpu:{name}" for name in gpus)])
            raise ConfigError(
                f"devices.slots names gpu:{gpu}, which this process is not given; accepted here: "
                f"{accepted}"
            )
    if n_jobs is not None and n_jobs > len(wanted):
        raise ConfigError(
            f"hydra.sweeper.n_jobs={n_jobs}, but devices.slots lists {len(wanted)}: name a device "
            "once for each of its trials, or leave n_jobs at auto"
        )
    return wanted[:n_jobs]


def _seeing(gpu: str, **variables: str) -> dict[str, str]:
    """Gives the environment of a trial that sees one GPU or none; what the user set stands."""
    own = {name: value for name, value in variables.items() if name not in os.environ}
    return {VISIBLE: gpu, **own}


def _of_cpu(devices: DevicesConfig) -> dict[str, str]:
    return dict.fromkeys(TF_THREADS, str(devices.threads))


def _of_gpu(devices: DevicesConfig, gpu: str, shares: int) -> dict[str, str]:
    variables = {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    if VISIBLE not in os.environ:  # the index is nvidia-smi's, and CUDA's own order is another
        variables["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    if devices.gpu_memory == "split":
        variables[MEMORY_LIMIT] = str(_share_mib(gpu, shares))
    return variables


def _share_mib(gpu: str, shares: int) -> int:
    """Gives how much memory each of the trials on a GPU may take."""
    memory = next((each.memory_mib for each in listed_gpus() if each.is_called(gpu)), None)
    if memory is None:
        raise ConfigError(
            f"devices.gpu_memory=split, but nvidia-smi does not say how much memory gpu:{gpu} has; "
            "take growth"
        )
    share = memory // shares - CONTEXT_MIB
    if share <= 0:
        raise ConfigError(
            f"devices.gpu_memory=split, but the {memory} MiB of gpu:{gpu} are too few for {shares} "
            f"trials, each with {CONTEXT_MIB} MiB for CUDA itself; take fewer, or growth"
        )
    return share

"""The device of this process; set before the first operation."""

from __future__ import annotations

import os

import tensorflow as tf

from seqsweep.config import DevicesConfig
from seqsweep.errors import ConfigError
from seqsweep.gpus import failure_in, gpu_of, limit_mib
from seqsweep.models.lstm import Device
from seqsweep.trial.quiet import with_its_stderr


def device() -> Device:
    """Says on what this process trains."""
    return "gpu" if tf.config.get_visible_devices("GPU") else "cpu"


def configure_devices(config: DevicesConfig) -> None:
    """Takes `threads` CPU threads, and GPU memory only as it is needed, or up to this trial's part.

    Several trials may share a GPU, and several a CPU: one thread each is faster there than all
    threads for each.

    Raises:
        ConfigError: there is no GPU where there has to be one, or it has failed.
    """
    tf.config.threading.set_intra_op_parallelism_threads(config.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    if config.name == "cpu":
        tf.config.set_visible_devices([], "GPU")
        return
    # where there is no GPU, CUDA complains of it
    gpus, said = with_its_stderr(lambda: tf.config.list_physical_devices("GPU"))
    if not gpus:
        _heed_a_missing_gpu(config, said)
    for gpu in gpus:
        _share_memory(gpu)


def _heed_a_missing_gpu(config: DevicesConfig, said: str) -> None:
    """Refuses to train on the CPU in place of a GPU that was asked for or has failed.

    With `auto` a TensorFlow that lacks CUDA's libraries trains on the CPU.
    """
    if gpu_of(os.environ) is not None and (why := failure_in(said)) is not None:
        raise ConfigError(f"TensorFlow finds no GPU: {why}")
    if config.name == "gpu":
        raise ConfigError(
            "devices.name=gpu, but TensorFlow sees none; seqsweep doctor says why, devices=cpu "
            "takes the CPU"
        )


def _share_memory(gpu: tf.config.PhysicalDevice) -> None:
    limit = limit_mib()
    if limit is None:
        tf.config.experimental.set_memory_growth(gpu, True)
    else:
        part = tf.config.LogicalDeviceConfiguration(memory_limit=limit)
        tf.config.set_logical_device_configuration(gpu, [part])

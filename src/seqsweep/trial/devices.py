"""The device of this process; set before the first operation."""

from __future__ import annotations

import tensorflow as tf

from seqsweep.config import DevicesConfig
from seqsweep.models.lstm import Device
from seqsweep.trial.quiet import no_stderr


def device() -> Device:
    """Says on what this process trains."""
    return "gpu" if tf.config.get_visible_devices("GPU") else "cpu"


def configure_devices(config: DevicesConfig) -> None:
    """Takes `threads` CPU threads, and GPU memory only as it is needed.

    Several trials may share a GPU, and several a CPU: one thread each is faster there than all
    threads for each.
    """
    tf.config.threading.set_intra_op_parallelism_threads(config.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    if config.name == "cpu":
        tf.config.set_visible_devices([], "GPU")
        return
    with no_stderr():  # where there is no GPU, CUDA complains of it
        gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)

"""What a trial makes of the GPU that it sees; TensorFlow's own functions are made up."""

import os
from types import SimpleNamespace

import pytest
import tensorflow as tf

from seqsweep.config import DevicesConfig
from seqsweep.errors import ConfigError
from seqsweep.trial.devices import configure_devices

LIMIT = "SEQSWEEP_GPU_MEMORY_MIB"
NO_DEVICE = "failed call to cuInit: CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected"


def devices(name: str = "auto") -> DevicesConfig:
    return DevicesConfig(name=name, threads=1, trials_per_gpu=1, slots=None, gpu_memory="growth")


@pytest.fixture
def tensorflow(monkeypatch):
    """Has TensorFlow see `gpus` and say `says` to stderr; notes how their memory is set."""
    made = SimpleNamespace(gpus=[], says="", grown=[], limits=[])

    def listed(_kind: str) -> list[str]:
        os.write(2, made.says.encode())
        return made.gpus

    def limit(gpu: str, parts: list[tf.config.LogicalDeviceConfiguration]) -> None:
        made.limits.append((gpu, [part.memory_limit for part in parts]))

    monkeypatch.setattr(tf.config, "list_physical_devices", listed)
    monkeypatch.setattr(
        tf.config.experimental, "set_memory_growth", lambda gpu, on: made.grown.append((gpu, on))
    )
    monkeypatch.setattr(tf.config, "set_logical_device_configuration", limit)
    for name in ("set_intra_op_parallelism_threads", "set_inter_op_parallelism_threads"):
        monkeypatch.setattr(tf.config.threading, name, lambda _count: None)
    monkeypatch.delenv(LIMIT, raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return made


def test_memory_is_taken_as_it_is_needed(tensorflow):
    tensorflow.gpus = ["GPU:0"]
    configure_devices(devices())
    assert (tensorflow.grown, tensorflow.limits) == ([("GPU:0", True)], [])


def test_of_a_gpu_whose_memory_is_split_a_trial_takes_its_part(tensorflow, monkeypatch):
    monkeypatch.setenv(LIMIT, "3072")
    tensorflow.gpus = ["GPU:0"]
    configure_devices(devices())
    assert (tensorflow.grown, tensorflow.limits) == ([], [("GPU:0", [3072])])


def test_a_trial_whose_gpu_has_failed_does_not_train_on_the_cpu(tensorflow, monkeypatch, capfd):
    tensorflow.says = NO_DEVICE
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    with pytest.raises(ConfigError, match="finds no GPU: failed call to cuInit"):
        configure_devices(devices())
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("visible", "says"),
    [
        ("-1", NO_DEVICE),  # a slot of the CPU
        (None, NO_DEVICE),  # no slot
        ("0", "Cannot dlopen some GPU libraries."),
        ("0", "failed call to cuInit: UNKNOWN ERROR (303)"),
    ],
)
def test_where_no_gpu_has_failed_it_does(tensorflow, monkeypatch, visible, says):
    tensorflow.says = says
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    configure_devices(devices())


def test_a_gpu_that_is_asked_for_and_not_seen_is_told(tensorflow):
    with pytest.raises(ConfigError, match=r"devices\.name=gpu, but TensorFlow sees none"):
        configure_devices(devices("gpu"))

"""An app whose trials multiply on the GPU that they see, and write down what they saw."""

import json
import os
import time
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore
from hydra.utils import to_absolute_path
from omegaconf import DictConfig

SIDE = 512  # of a square of floats that has 1 MiB
PIECE_MIB = 256


@hydra.main(config_path=None, config_name="tensorflow_on_gpu", version_base="1.3")
def main(cfg: DictConfig) -> float:
    import tensorflow as tf

    from seqsweep.config import DevicesConfig
    from seqsweep.trial.devices import configure_devices

    configure_devices(DevicesConfig("auto", 1, 1, None, "growth"))  # as this project's trials do
    limit = int(os.environ.get("SEQSWEEP_GPU_MEMORY_MIB", "0"))
    began = time.time()
    n_pieces, is_refused = int(cfg.of_limit * limit / PIECE_MIB), False
    try:
        pieces = [tf.zeros((PIECE_MIB, SIDE, SIDE)) for _ in range(n_pieces)]
        del pieces
    except tf.errors.ResourceExhaustedError:
        is_refused = True
    square = tf.random.normal((2048, 2048))
    while time.time() < began + cfg.seconds:
        square = tf.linalg.matmul(square, square) / 2048.0
        square[0, 0].numpy()  # waits for it
    line = {
        "gpus": len(tf.config.list_physical_devices("GPU")),
        "visible": os.environ["CUDA_VISIBLE_DEVICES"],
        "device": square.device,
        "began": began,
        "ended": time.time(),
        "is_refused": is_refused,
    }
    with Path(to_absolute_path("ran.jsonl")).open("a") as file:
        file.write(json.dumps(line) + "\n")
    return cfg.x


if __name__ == "__main__":
    ConfigStore.instance().store(
        name="tensorflow_on_gpu",
        node={
            "defaults": [
                "_self_",
                {"override hydra/sweeper": "seqsweep"},
                {"override hydra/sweeper/sampler": "random"},
            ],
            "seconds": 5.0,
            "of_limit": 0.0,  # how much of its part of the memory a trial asks for
            "x": 0.0,
            "hydra": {
                "sweep": {"dir": "swept"},
                "sweeper": {
                    "n_trials": 4,
                    "tracking": {"name": "none"},
                    "preload": ["tensorflow"],
                    "params": {"x": "interval(0, 1)"},
                },
            },
        },
    )
    main()

"""An app whose trials take a while; it needs no TensorFlow."""

import time

import hydra
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig

import seqsweep

STEPS = 10


@hydra.main(config_path=None, config_name="slow_sphere", version_base="1.3")
def main(cfg: DictConfig) -> float:
    value = cfg.x**2 + cfg.y**2
    for step in range(1, STEPS + 1):
        time.sleep(cfg.seconds / STEPS)
        seqsweep.report(step, value=value + STEPS - step)
    return value


if __name__ == "__main__":
    ConfigStore.instance().store(
        name="slow_sphere",
        node={
            "defaults": ["_self_", {"override hydra/sweeper": "seqsweep"}],
            "x": 1.0,
            "y": 1.0,
            "seconds": 0.3,
            "hydra": {
                "sweep": {"dir": "swept"},
                "sweeper": {
                    "seed": 1,
                    "n_trials": 12,
                    "n_jobs": 1,
                    "grace_period": 4,
                    "params": {"x": "interval(-5,5)", "y": "int(interval(-5,5))"},
                },
            },
        },
    )
    main()

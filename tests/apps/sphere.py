"""An app that knows nothing of seqsweep: it returns a number."""

import hydra
from omegaconf import DictConfig


@hydra.main(config_path=None, config_name="sphere", version_base="1.3")
def sphere(cfg: DictConfig) -> float:
    return cfg.x**2 + cfg.y**2


if __name__ == "__main__":
    from hydra.core.config_store import ConfigStore

    ConfigStore.instance().store(
        name="sphere",
        node={"defaults": ["_self_", {"override hydra/sweeper": "seqsweep"}], "x": 1.0, "y": 1.0},
    )
    sphere()

"""An app whose value says whether its process began with the module `own` imported."""

import sys

import hydra
from omegaconf import DictConfig


@hydra.main(config_path=None, config_name="preloads", version_base="1.3")
def main(cfg: DictConfig) -> float:
    return float("own" in sys.modules)


if __name__ == "__main__":
    from hydra.core.config_store import ConfigStore

    ConfigStore.instance().store(
        name="preloads",
        node={"defaults": ["_self_", {"override hydra/sweeper": "seqsweep"}], "x": 1},
    )
    main()

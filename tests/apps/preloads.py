"""An app whose value says what its process has of the module `own`: what it loaded, or 1 or 0."""

import sys

import hydra
from omegaconf import DictConfig


@hydra.main(config_path=None, config_name="preloads", version_base="1.3")
def main(cfg: DictConfig) -> float:
    own = sys.modules.get("own")
    return float(getattr(own, "loaded", [own is not None])[-1])


if __name__ == "__main__":
    from hydra.core.config_store import ConfigStore

    ConfigStore.instance().store(
        name="preloads",
        node={"defaults": ["_self_", {"override hydra/sweeper": "seqsweep"}], "x": 1},
    )
    main()

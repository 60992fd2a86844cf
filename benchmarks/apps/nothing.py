"""An app whose trials do nothing: they give a number that goes by their parameters."""

import json
import time
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

NAMES = ("a", "b", "c", "d")


@hydra.main(config_path=None, config_name="nothing", version_base="1.3")
def nothing(cfg: DictConfig) -> float:
    """Gives the squared distance from the origin; leaves the time where it is asked for."""
    if cfg.leave_times:
        folder = Path(HydraConfig.get().runtime.output_dir)
        (folder / "times.json").write_text(json.dumps(time.time()))
    return sum(cfg[name] ** 2 for name in NAMES)


if __name__ == "__main__":
    defaults = ["_self_", {"override hydra/sweeper": "seqsweep"}]
    sweeper = {"params": dict.fromkeys(NAMES, "interval(-1, 1)")}
    ConfigStore.instance().store(
        name="nothing",
        node={
            "defaults": defaults,
            **dict.fromkeys(NAMES, 0.0),
            "leave_times": False,
            "hydra": {"sweeper": sweeper},
        },
    )
    nothing()

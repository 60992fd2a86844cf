"""An app whose trial `turn` sleeps `seconds[turn]` and gives how long it really slept."""

import json
import time
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig


@hydra.main(config_path=None, config_name="sleeps", version_base="1.3")
def sleeps(cfg: DictConfig) -> float:
    """Sleeps one trial's time; leaves its start and end in the job's folder, as Unix times."""
    start = time.time()
    time.sleep(cfg.seconds[cfg.turn])
    end = time.time()
    folder = Path(HydraConfig.get().runtime.output_dir)
    (folder / "slept.json").write_text(json.dumps([start, end]))
    return end - start


if __name__ == "__main__":
    defaults = ["_self_", {"override hydra/sweeper": "seqsweep"}]
    ConfigStore.instance().store(
        name="sleeps", node={"defaults": defaults, "seconds": [], "turn": 0}
    )
    sleeps()

"""An app whose config holds secrets, which reach the function and no record."""

import logging
import os

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig


@hydra.main(config_path=None, config_name="keeps_secrets", version_base="1.3")
def main(cfg: DictConfig) -> float:
    told = HydraConfig.get()
    logging.getLogger("app").info("%s with %s", cfg.db, cfg.note)
    assert cfg.note == os.environ["MY_API_TOKEN"]
    assert told.output_subdir == ".hydra"
    assert f"+db={cfg.db}" in told.overrides.task
    if cfg.way == "returns":
        return cfg.db
    if cfg.way == "raises":
        raise ValueError(f"cannot open {cfg.db} with {cfg.note}")
    return 0.5


if __name__ == "__main__":
    ConfigStore.instance().store(
        name="keeps_secrets",
        node={
            "defaults": [
                "_self_",
                {"override hydra/sweeper": "seqsweep"},
                {"override hydra/sweeper/sampler": "grid"},
            ],
            "way": "completes",
            "hydra": {
                "sweep": {"dir": "sweep", "subdir": "${hydra.job.override_dirname}"},
                "sweeper": {"params": {"way": "completes,returns,raises"}},
            },
        },
    )
    main()

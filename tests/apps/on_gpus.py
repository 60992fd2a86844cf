"""An app that says on which GPU each trial ran and when, and dies on some as it is told.

By `DIES_FROM`, as {"1": 3} for GPU 1 and from trial 3 on, with the last words `SAYS`.
"""

import json
import os
import sys
import time
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.utils import to_absolute_path
from omegaconf import DictConfig


def look(_cfg: DictConfig) -> None:
    """Says on which GPU the best trial is looked at."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    (folder / "looked").write_text(os.environ["CUDA_VISIBLE_DEVICES"])


@hydra.main(config_path=None, config_name="on_gpus", version_base="1.3")
def main(cfg: DictConfig) -> float:
    gpu, number = os.environ["CUDA_VISIBLE_DEVICES"], HydraConfig.get().job.num
    began = time.time()
    time.sleep(cfg.seconds)
    if number >= json.loads(os.environ.get("DIES_FROM", "{}")).get(gpu, float("inf")):
        print(os.environ["SAYS"], file=sys.stderr, flush=True)
        os.abort()
    line = {"number": number, "gpu": gpu, "began": began, "ended": time.time()}
    line["limit"] = os.environ.get("SEQSWEEP_GPU_MEMORY_MIB")
    with Path(to_absolute_path("ran.jsonl")).open("a") as file:
        file.write(json.dumps(line) + "\n")
    return cfg.x


if __name__ == "__main__":
    ConfigStore.instance().store(
        name="on_gpus",
        node={
            "defaults": [
                "_self_",
                {"override hydra/sweeper": "seqsweep"},
                {"override hydra/sweeper/sampler": "random"},
            ],
            "seconds": 0.2,
            "x": 0.0,
            "hydra": {
                "sweep": {"dir": "swept/${hydra.sweeper.study_name}"},
                "sweeper": {
                    "n_trials": 12,
                    "storage": "studies.db",
                    "tracking": {"name": "none"},
                    "params": {"x": "interval(0, 1)"},
                },
            },
        },
    )
    main()

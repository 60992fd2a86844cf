"""An app whose trials take a while and go on from checkpoints; it needs no TensorFlow."""

import time
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

import seqsweep

STEPS = 10


@hydra.main(config_path=None, config_name="slow_sphere", version_base="1.3")
def main(cfg: DictConfig) -> float:
    value = cfg.x**2 + cfg.y**2
    folder = Path(HydraConfig.get().runtime.output_dir, "checkpoint")
    done = int((folder / "step").read_text()) if (folder / "step").exists() else 0
    print(f"begins after step {done}", flush=True)
    for step in range(1, STEPS + 1):
        if step > done:
            time.sleep(cfg.seconds / STEPS)
            folder.mkdir(exist_ok=True)
            (folder / "new").write_text(str(step))
            (folder / "new").replace(folder / "step")
        if seqsweep.interrupted():
            raise seqsweep.TrialInterrupted
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
                    "params": {"x": "interval(-5,5)", "y": "int(interval(-5,5))"},
                },
            },
        },
    )
    main()

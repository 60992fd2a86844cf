"""A job that counts steps in its folder `checkpoint/` and goes on from there when tried again."""

import os
import signal
import time
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from optuna.pruners import BasePruner

import seqsweep
from seqsweep.errors import UserError


class StopsSecondTries(BasePruner):
    def prune(self, study, trial) -> bool:
        return "retry_of" in trial.user_attrs


def end(way: str, cfg: DictConfig) -> None:
    """Ends the job as the config says, or waits for the sweep's interrupt."""
    print(f"ends: {way}", flush=True)
    if way == "crashes":
        os.abort()
    if way == "is terminated":
        os.kill(os.getpid(), signal.SIGTERM)
    if way == "fails for good":
        raise UserError("for good")
    if way == "hangs":
        time.sleep(600)
    while way == "waits" and not seqsweep.interrupted():
        time.sleep(0.01)


def loss_at(cfg: DictConfig, step: int) -> float:
    return cfg.x + cfg.seed / 10 + 1 / step


@hydra.main(config_path=None, config_name="checkpoints", version_base="1.3")
def count(cfg: DictConfig) -> float:
    """Ends once in the middle, in the way that the config names, and completes when tried again."""
    folder = Path(HydraConfig.get().runtime.output_dir, "checkpoint")
    file = folder / "step"
    if cfg.keeps:
        folder.mkdir(exist_ok=True)
    done = int(file.read_text()) if file.exists() else 0
    print(f"begins after step {done}", flush=True)
    for step in range(1, done + 1):
        seqsweep.report(step, loss=loss_at(cfg, step))
    for step in range(done + 1, cfg.steps + 1):
        if cfg.keeps:
            new = folder / "new"
            new.write_text(str(step))
            new.replace(file)
        if step == cfg.ends_at and done == 0:
            end(cfg.way, cfg)
        print(f"step {step}", flush=True)
        seqsweep.report(step, loss=loss_at(cfg, step))
    return loss_at(cfg, cfg.steps)


if __name__ == "__main__":
    ConfigStore.instance().store(
        name="checkpoints",
        node={
            "defaults": ["_self_", {"override hydra/sweeper": "seqsweep"}],
            "x": 1,
            "seed": 0,
            "steps": 6,
            "ends_at": 4,
            "way": "completes",
            "keeps": True,
            "hydra": {
                "sweep": {"dir": "swept", "subdir": "${hydra.job.num}"},
                "sweeper": {"metric": "loss", "n_jobs": 1, "storage": "studies.db"},
            },
        },
    )
    count()

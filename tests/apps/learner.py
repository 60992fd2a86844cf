"""A training as far as a sweep sees it: a curve that depends on the values and on the seed."""

import os
import time
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

import seqsweep


def crash_at_first(cfg: DictConfig) -> None:
    """Crashes until as many tries lie behind as the config says."""
    marks = Path(cfg.marks, f"{cfg.x}")
    marks.mkdir(parents=True, exist_ok=True)
    tries = len(list(marks.iterdir()))
    if tries < cfg.crashes:
        (marks / str(tries)).touch()
        os.abort()


def evaluate_after_a_crash(cfg: DictConfig) -> None:
    """Reports a loss, but crashes the first time."""
    mark = Path(cfg.marks, "evaluated")
    if not mark.exists():
        mark.parent.mkdir(exist_ok=True)
        mark.touch()
        os.abort()
    seqsweep.report(0, test_loss=cfg.x**2)


@hydra.main(config_path=None, config_name="learner", version_base="1.3")
def learn(cfg: DictConfig) -> float | tuple[float, float]:
    """Its loss after step s is x² + seed / 10 + 1 / s."""
    if cfg.crashes:
        crash_at_first(cfg)
    if cfg.log:
        with Path(cfg.log).open("a") as file:
            file.write(f"{HydraConfig.get().job.num} {cfg.x} {cfg.kind}\n")
    for step in range(1, cfg.steps + 1):
        loss = cfg.x**2 + cfg.seed / 10 + 1 / step
        seqsweep.report(step, loss=loss, size=abs(cfg.x))
        time.sleep(cfg.sleep)
    if cfg.fails_with_seed == cfg.seed:
        raise ValueError("this seed fails")
    return (loss, abs(cfg.x)) if cfg.two else loss


if __name__ == "__main__":
    ConfigStore.instance().store(
        name="learner",
        node={
            "defaults": ["_self_", {"override hydra/sweeper": "seqsweep"}],
            "x": 1,
            "kind": "a",
            "depth": 1,
            "seed": 0,
            "steps": 3,
            "sleep": 0.0,
            "two": False,
            "crashes": 0,
            "marks": "marks",
            "log": "",
            "fails_with_seed": None,
            "hydra": {
                "sweep": {"dir": "swept", "subdir": "${hydra.job.num}"},
                "sweeper": {"metric": "loss", "seed": 0},
            },
        },
    )
    learn()

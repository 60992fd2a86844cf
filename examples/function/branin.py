"""Branin's function, a classic test of searches. Nothing here knows of seqsweep."""

import math

import hydra
from omegaconf import DictConfig


@hydra.main(config_path="conf", config_name="config", version_base="1.3")
def branin(cfg: DictConfig) -> float:
    """Gives the function's value at (x, y); https://www.sfu.ca/~ssurjano/branin.html."""
    valley = cfg.y - 5.1 / (4 * math.pi**2) * cfg.x**2 + 5 / math.pi * cfg.x - 6
    return valley**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(cfg.x) + 10


if __name__ == "__main__":
    branin()

"""Trains one model, or with `-m sweep` a whole sweep of them: the entry of the project."""

import sys
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig

from seqsweep.arguments import check_the_sweep, in_hydras_words, run_or_tell

ROOT = Path(__file__).resolve().parent.parent


@hydra.main(config_path="../conf", config_name="config", version_base="1.3")
def main(cfg: DictConfig) -> float:
    """Trains once and gives the best value of the objective."""
    from seqsweep.trial import task  # not at the top: --help and --cfg need none of it

    return task.main(cfg)


if __name__ == "__main__":
    ConfigStore.instance().store(name="project", node={"root": str(ROOT)})
    sys.argv = in_hydras_words(sys.argv)
    check_the_sweep(ROOT / "sweeps", sys.argv)
    run_or_tell(main)

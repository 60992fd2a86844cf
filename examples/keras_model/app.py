"""A convolutional network that reads digits. Keras is imported only where a model is trained."""

from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig


@hydra.main(config_path="conf", config_name="config", version_base="1.3")
def main(cfg: DictConfig) -> float:
    """Trains one model, leaves it in the job's folder and gives its validation accuracy."""
    from training import train

    return train(cfg, Path(HydraConfig.get().runtime.output_dir) / "model")


if __name__ == "__main__":
    main()

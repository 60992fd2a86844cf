"""A search space that only a function knows, as an example of Hydra's own Optuna sweeper has it."""

import hydra
import optuna
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig


def configure(cfg: DictConfig, trial: optuna.Trial) -> None:
    x = trial.params["x"]
    trial.suggest_float("z", x - cfg.max_difference, x + cfg.max_difference)
    trial.suggest_float("+w", 0.0, 1.0)  # new to the config


@hydra.main(config_path=None, config_name="custom_space", version_base="1.3")
def distance(cfg: DictConfig) -> float:
    return cfg.x**2 + cfg.y**2 + cfg.z**2 + cfg.w


if __name__ == "__main__":
    ConfigStore.instance().store(
        name="custom_space",
        node={
            "defaults": ["_self_", {"override hydra/sweeper": "seqsweep"}],
            "x": 1.0,
            "y": 1.0,
            "z": 1.0,
            "max_difference": 0.5,
            "hydra": {
                "sweep": {"dir": "swept"},
                "sweeper": {
                    "n_trials": 14,
                    "n_jobs": 1,
                    "params": {"x": "interval(-5.5, 5.5)", "y": "choice(-5, 0, 5)"},
                    "custom_search_space": "custom_space.configure",
                    "sampler": {"seed": 123},
                },
            },
        },
    )
    distance()

"""Binh and Korn's function of two objectives: what Hydra's own Optuna sweeper shows as an example.

T. T. Binh and U. Korn, "MOBES: A multiobjective evolution strategy for constrained optimization
problems", 1997.
"""

import hydra
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig


@hydra.main(config_path=None, config_name="two_objectives", version_base="1.3")
def binh_and_korn(cfg: DictConfig) -> tuple[float, float]:
    return 4 * cfg.x**2 + 4 * cfg.y**2, (cfg.x - 5) ** 2 + (cfg.y - 5) ** 2


if __name__ == "__main__":
    sweeper = {
        "direction": ["minimize", "minimize"],
        "n_trials": 20,
        "n_jobs": 1,
        "params": {"x": "range(0, 5, step=0.5)", "y": "interval(0, 3)"},
        "sampler": {"seed": 123},
    }
    ConfigStore.instance().store(
        name="two_objectives",
        node={
            "defaults": ["_self_", {"override hydra/sweeper": "seqsweep"}],
            "x": 1.0,
            "y": 1.0,
            "hydra": {"sweeper": sweeper, "sweep": {"dir": "swept"}},
        },
    )
    binh_and_korn()

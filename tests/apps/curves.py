"""An app whose curve rises to x in 12 steps, and a pruner that takes its time to begin."""

import time

import hydra
from omegaconf import DictConfig
from optuna import Study
from optuna.pruners import HyperbandPruner
from optuna.trial import TrialState

import seqsweep


class SlowHyperband(HyperbandPruner):
    def _try_initialization(self, study: Study) -> None:
        if study.get_trials(states=(TrialState.COMPLETE,)):
            time.sleep(1)  # in which another thread can come to the same place
        super()._try_initialization(study)


@hydra.main(config_path=None, config_name="curves", version_base="1.3")
def curves(cfg: DictConfig) -> float:
    for step in range(1, 13):
        time.sleep(0.02)
        seqsweep.report(step, score=cfg.x * step / 12)
    return cfg.x


if __name__ == "__main__":
    from hydra.core.config_store import ConfigStore

    sweeper = {"direction": "maximize", "tracking": {"name": "none"}}
    ConfigStore.instance().store(
        name="curves",
        node={
            "defaults": ["_self_", {"override hydra/sweeper": "seqsweep"}],
            "x": 1.0,
            "hydra": {"sweep": {"dir": "swept"}, "sweeper": sweeper},
        },
    )
    curves()

"""The Hydra shell of the sweeper: its schema and the hand-over to `seqsweep.search`.

Hydra imports this at every start of every app in the environment, so it imports nothing heavy.
Hydra executes plugin modules before they are in `sys.modules`, so there is no
`from __future__ import annotations` beside a dataclass.
"""

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional  # noqa: UP035 - OmegaConf reads these at run time

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import MISSING, DictConfig


@dataclass
class SeqsweepSweeperConf:
    """The fields of `hydra.sweeper`; see docs/sweeper.md."""

    defaults: List[Any] = field(default_factory=lambda: [{"sampler": "tpe"}, {"pruner": "none"}])  # noqa: UP006
    _target_: str = "hydra_plugins.seqsweep_sweeper.SeqsweepSweeper"
    _recursive_: bool = False

    sampler: Any = MISSING
    pruner: Any = MISSING
    direction: Any = "minimize"
    metric: Any = None
    constraints: List[str] = field(default_factory=list)  # noqa: UP006
    n_jobs: Any = "auto"
    seed: Optional[int] = None  # noqa: UP045

    params: Optional[Dict[str, Any]] = None  # noqa: UP006, UP045
    custom_search_space: Optional[str] = None  # noqa: UP045
    enqueue: List[Any] = field(default_factory=list)  # noqa: UP006
    skip_duplicates: bool = False
    repeats: int = 1
    seed_key: str = "seed"

    n_trials: Optional[int] = None  # noqa: UP045
    timeout: Optional[float] = None  # noqa: UP045
    target: Optional[float] = None  # noqa: UP045
    patience: Optional[int] = None  # noqa: UP045
    max_failures: Optional[int] = None  # noqa: UP045
    max_failure_rate: Optional[float] = None  # noqa: UP045
    trial_timeout: Optional[float] = None  # noqa: UP045
    max_retries: int = 0

    study_name: Optional[str] = None  # noqa: UP045
    storage: Optional[str] = None  # noqa: UP045
    devices: Dict[str, Any] = field(default_factory=lambda: {"name": "auto", "threads": 1})  # noqa: UP006
    tracking: Dict[str, Any] = field(  # noqa: UP006
        default_factory=lambda: {
            "name": "mlflow",
            "uri": None,
            "experiment": "${hydra.job.name}",
            "dir": "${hydra.runtime.cwd}",
            "log_model": True,
            "hidden": [],
        }
    )

    preload: List[str] = field(default_factory=list)  # noqa: UP006
    check: Optional[str] = None  # noqa: UP045
    evaluate_best: Optional[str] = None  # noqa: UP045


class SeqsweepSweeper(Sweeper):
    """Searches with Optuna, a process for each trial."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keeps what Hydra hands over."""
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config

    def sweep(self, arguments: List[str]) -> None:  # noqa: UP006
        """Runs the sweep; ends the program with an exit code other than 0 where it fails."""
        from seqsweep.search.sweep import run_or_exit

        run_or_exit(
            settings=self.settings,
            arguments=arguments,
            hydra_context=self.hydra_context,
            task_function=self.task_function,
            config=self.config,
        )


OPTUNA = "optuna"
OPTIONS = {
    "sampler": {
        "tpe": {
            "_target_": f"{OPTUNA}.samplers.TPESampler",
            "seed": None,
            "n_startup_trials": 10,
            "multivariate": True,
            "constant_liar": True,
        },
        "random": {"_target_": f"{OPTUNA}.samplers.RandomSampler", "seed": None},
        "grid": {"_target_": f"{OPTUNA}.samplers.GridSampler"},
    },
    "pruner": {
        "none": {"_target_": f"{OPTUNA}.pruners.NopPruner"},
        "median": {
            "_target_": f"{OPTUNA}.pruners.MedianPruner",
            "n_startup_trials": 5,
            "n_warmup_steps": 0,
        },
    },
}

store = ConfigStore.instance()
store.store(group="hydra/sweeper", name="seqsweep", node=SeqsweepSweeperConf, provider="seqsweep")
for group, options in OPTIONS.items():
    for name, node in options.items():
        store.store(group=f"hydra/sweeper/{group}", name=name, node=node, provider="seqsweep")

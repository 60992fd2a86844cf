"""The Hydra shell of the sweeper: its schema and the hand-over to `seqsweep.search`.

Hydra imports this at every start of every app in the environment, so it imports nothing heavy.
Hydra executes plugin modules before they are in `sys.modules`, so there is no
`from __future__ import annotations` beside a dataclass.
"""

import gc
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
    n_workers: int = 1
    seed: Optional[int] = None  # noqa: UP045

    params: Optional[Dict[str, Any]] = field(default_factory=dict)  # noqa: UP006, UP045
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
    grace_period: int = 60

    study_name: Optional[str] = None  # noqa: UP045
    fresh: bool = False
    dry_run: bool = False
    storage: Optional[str] = None  # noqa: UP045
    devices: Dict[str, Any] = field(  # noqa: UP006
        default_factory=lambda: {
            "name": "auto",
            "threads": 1,
            "trials_per_gpu": 1,
            "slots": None,
            "gpu_memory": "growth",
        }
    )
    tracking: Dict[str, Any] = field(  # noqa: UP006
        default_factory=lambda: {
            "name": "mlflow",
            "uri": None,
            "experiment": "${hydra.job.name}",
            "dir": "${hydra.runtime.cwd}",
            "log_model": True,
            "registered_model": None,
            "wait": 60,
            "system_metrics_every_s": 10,
            "pictures": True,
            "hidden": [],
        }
    )

    report_every: Any = "${oc.decode:${oc.env:SEQSWEEP_REPORT_EVERY,60}}"
    step_unit: str = "steps"
    rerun: Optional[str] = None  # noqa: UP045
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
        # What is imported stays: to look through it again and again takes 0.8 s. `run` ends this.
        gc.disable()
        from seqsweep.search.sweep import run_or_exit

        run_or_exit(
            settings=self.settings,
            arguments=arguments,
            hydra_context=self.hydra_context,
            task_function=self.task_function,
            config=self.config,
        )


SAMPLERS = "optuna.samplers"
PRUNERS = "optuna.pruners"
# What a user usually sets of each class, by its own names; any other argument may be added.
OPTIONS = {
    "sampler": {
        "tpe": {
            "_target_": f"{SAMPLERS}.TPESampler",
            "seed": None,
            "n_startup_trials": 10,
            "multivariate": True,
            "group": True,  # learns of conditional parameters too; changes nothing without any
            "constant_liar": True,
        },
        "random": {"_target_": f"{SAMPLERS}.RandomSampler", "seed": None},
        "gp": {
            "_target_": f"{SAMPLERS}.GPSampler",
            "seed": None,
            "n_startup_trials": 10,
            "deterministic_objective": False,
        },
        "cmaes": {
            "_target_": f"{SAMPLERS}.CmaEsSampler",
            "seed": None,
            "n_startup_trials": 1,
            "popsize": None,
        },
        "qmc": {
            "_target_": f"{SAMPLERS}.QMCSampler",
            "seed": None,
            "qmc_type": "sobol",
            "scramble": True,  # else the seed says nothing and the first point is the lowest corner
        },
        "nsgaii": {"_target_": f"{SAMPLERS}.NSGAIISampler", "seed": None, "population_size": 50},
        "grid": {"_target_": f"{SAMPLERS}.GridSampler"},
        "brute_force": {"_target_": f"{SAMPLERS}.BruteForceSampler", "seed": None},
    },
    "pruner": {
        "none": {"_target_": f"{PRUNERS}.NopPruner"},
        "median": {
            "_target_": f"{PRUNERS}.MedianPruner",
            "n_startup_trials": 5,
            "n_warmup_steps": 0,
        },
        "percentile": {
            "_target_": f"{PRUNERS}.PercentilePruner",
            "percentile": 25.0,
            "n_startup_trials": 5,
            "n_warmup_steps": 0,
        },
        "asha": {
            "_target_": f"{PRUNERS}.SuccessiveHalvingPruner",
            "min_resource": 1,  # "auto" prunes nothing until a trial has completed
            "reduction_factor": 3,  # 4 is no cheaper and finds less: docs/performance.md
            "min_early_stopping_rate": 0,
        },
        "hyperband": {
            "_target_": f"{PRUNERS}.HyperbandPruner",
            "min_resource": 1,
            "max_resource": "auto",
            "reduction_factor": 3,
        },
        "patient": {
            "_target_": f"{PRUNERS}.PatientPruner",
            "wrapped_pruner": {"_target_": f"{PRUNERS}.MedianPruner"},
            "patience": 3,
            "min_delta": 0.0,
        },
        "wilcoxon": {
            "_target_": f"{PRUNERS}.WilcoxonPruner",
            "p_threshold": 0.1,
            "n_startup_steps": 2,
        },
        "threshold": {
            "_target_": f"{PRUNERS}.ThresholdPruner",
            "lower": None,
            "upper": None,
            "n_warmup_steps": 0,
        },
    },
}


class _Shared(dict):
    """A group of options of which copies of the store share the one that there is.

    Hydra copies its whole store a hundred times at every start; these options in it would cost
    `--help` 0.25 s. What it loads from the store it copies once more, so nothing is changed here.
    """

    def __deepcopy__(self, memo: Any) -> Any:
        return self


store = ConfigStore.instance()
store.store(group="hydra/sweeper", name="seqsweep", node=SeqsweepSweeperConf, provider="seqsweep")
for group, options in OPTIONS.items():
    sweepers = store.repo["hydra"]["sweeper"]
    sweepers[group] = _Shared(sweepers.get(group, {}))  # another plugin may have options there
    for name, values in options.items():
        # Without `struct` Hydra takes keys that are not listed here; `seqsweep.search` checks them.
        node = DictConfig(values, flags={"struct": False})
        store.store(group=f"hydra/sweeper/{group}", name=name, node=node, provider="seqsweep")

"""What a sweep is going to do, checked before anything is written."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from hydra.errors import HydraException
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict
from optuna.samplers import GridSampler

from seqsweep.errors import ConfigError, SearchError
from seqsweep.process.child import Job
from seqsweep.search.settings import Settings
from seqsweep.search.slots import Slot, make_slots
from seqsweep.search.space import Space, Value
from seqsweep.search.study import create_study, make_pruner, make_sampler, open_storage
from seqsweep.tracking.provenance import git_tags

N_TRIALS = 20  # of a sweep that does not say how many, as Hydra's own Optuna sweeper has it


@dataclass
class Plan:
    """A search of `n_trials` over `space` with the task `function`.

    It crosses to workers as a pickle, so it holds plain values. `study_name` and `storage` (an
    SQLAlchemy URL) are known once the sweep begins.
    """

    settings: Settings
    space: Space
    n_trials: int
    function: Callable[[DictConfig], Any]
    hydra_context: HydraContext
    master: DictConfig
    study_name: str = ""
    storage: str = ""

    @classmethod
    def make(
        cls,
        settings: Settings,
        arguments: list[str],
        hydra_context: HydraContext,
        function: Callable[[DictConfig], Any],
        master: DictConfig,
    ) -> Plan:
        """Reads the space and tries everything that can be tried without training.

        Raises:
            UserError: something in the sweep cannot work.
        """
        space = Space.read(settings.params or {}, arguments, hydra_context.config_loader)
        sampler = make_sampler(settings.sampler, space, seed=settings.seed)
        n_trials = settings.n_trials or N_TRIALS
        if isinstance(sampler, GridSampler):
            n_trials = math.prod(map(len, space.grid().values()))
        make_pruner(settings.pruner)
        plan = cls(settings, space, n_trials, function, hydra_context, master)
        plan.slots()
        plan._check_configs()
        return plan

    @property
    def folder(self) -> Path:
        """The sweep's folder, whose subfolders are the jobs'."""
        return Path(self.master.hydra.sweep.dir)

    @property
    def metric(self) -> str:
        """What the objective is called on the screen."""
        return self.settings.metric or "value"

    @property
    def result(self) -> str:
        """What a trial's value of the objective is called in the tracking store.

        The curve of the metric has its own name, and its last point need not be the result.
        """
        return f"best_{self.settings.metric}" if self.settings.metric else "value"

    def begin(self) -> optuna.Study:
        """Opens the store and creates the study, named after the sweep with the next number.

        Raises:
            UserError: the store or the folder cannot be used, or the given name is taken.
        """
        given, url = self.settings.study_name, self.settings.storage
        if url is None:
            self._settle_folder(given)
            url = f"sqlite:///{self.folder / 'optuna.db'}"
        storage = open_storage(url)
        choices = self.master.hydra.runtime.choices
        base = choices.get("sweep") or self.master.hydra.job.name
        study = create_study(storage, given, base=base, direction=self.settings.direction)
        self.study_name, self.storage = study.study_name, url
        self._settle_folder(study.study_name)
        OmegaConf.save(self.master, self.folder / "multirun.yaml")
        return study

    def _settle_folder(self, study_name: str | None) -> None:
        with open_dict(self.master):
            self.master.hydra.sweeper.study_name = study_name
            self.master.hydra.sweep.dir = str(Path(self.master.hydra.sweep.dir).absolute())
        check_folder(self.folder)

    def slots(self) -> list[Slot]:
        """Gives the slots of this machine."""
        n_jobs = None if self.settings.n_jobs == "auto" else self.settings.n_jobs
        return make_slots(self.settings.devices, n_jobs)

    def tags(self) -> dict[str, str]:
        """Gives the tags that tell from which code a run came."""
        return git_tags(Path(self.settings.tracking.dir))

    def job(self, params: dict[str, Value], number: int, slot: Slot) -> Job:
        """Composes the Hydra job of a trial."""
        config = self._compose(params)
        with open_dict(config):
            config.hydra.job.num = number
            config.hydra.job.id = f"{self.study_name}-{number}"
        folder = Path(config.hydra.sweep.dir, str(config.hydra.sweep.subdir)).absolute()
        return Job(self.function, config, folder, self.hydra_context, dict(slot.environment))

    def _compose(self, params: dict[str, Value]) -> DictConfig:
        overrides = self.space.overrides(params)
        try:
            config = self.hydra_context.config_loader.load_sweep_config(self.master, overrides)
        except HydraException as error:
            reason = " ".join(str(error).split())
            raise SearchError(f"the sweep's parameters do not fit the config: {reason}") from error
        with open_dict(config):
            config.hydra.sweep.dir = self.master.hydra.sweep.dir
        return config

    def _check_configs(self) -> None:
        """Composes the corners of the space and lets the app's own check look at each."""
        check = self.settings.function("check")
        for params in self.space.corners():
            config = self._compose(params)
            if check is None:
                return
            check(config)


def check_folder(folder: Path) -> None:
    """Makes `folder`.

    Raises:
        ConfigError: it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"the folder {folder} cannot be made: {error.strerror}") from error
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"the folder {folder} cannot be written")

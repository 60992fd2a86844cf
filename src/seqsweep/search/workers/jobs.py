"""The Hydra jobs of a sweep: what each trial's config is, and in which folder it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict

from seqsweep.errors import SearchError, reason
from seqsweep.hydra_files import name_without_secrets
from seqsweep.process.child import Job, pack
from seqsweep.search.settings import Settings
from seqsweep.search.space.parameter import Value, literal
from seqsweep.search.space.space import Space
from seqsweep.search.workers.composer import Composer
from seqsweep.search.workers.launcher import Kind, kind_of
from seqsweep.search.workers.slots import Slot

CANNOT_BE_COMPOSED = " cannot be composed: "


@dataclass
class Jobs:
    """Composes the jobs of trials; `master` is the config that Hydra composed for the sweep.

    Not made for several threads, as Hydra's loader is not.
    """

    settings: Settings
    space: Space
    function: Callable[[DictConfig], Any]
    hydra_context: HydraContext
    master: DictConfig

    def __post_init__(self) -> None:
        name_without_secrets(self.master)

    @property
    def folder(self) -> Path:
        """The sweep's folder, whose subfolders are the jobs'."""
        return Path(self.master.hydra.sweep.dir).absolute()

    @property
    def launcher(self) -> Kind:
        """What starts the workers of the sweep."""
        return kind_of(self.master.hydra.launcher)

    @property
    def study_name(self) -> str:
        """The study's name, which Hydra's part of every config holds."""
        return self.master.hydra.sweeper.study_name

    def fix_folder(self) -> None:
        """Lets the folder be the same for processes that begin in another one."""
        with open_dict(self.master):
            self.master.hydra.sweep.dir = str(self.folder)

    def call_study(self, name: str) -> None:
        """Names the study; the folder's name may hold it."""
        with open_dict(self.master):
            self.master.hydra.sweeper.study_name = name

    @cached_property
    def _app(self) -> bytes:
        return pack(self.function, self.hydra_context)

    @cached_property
    def _composer(self) -> Composer:
        return Composer(self.hydra_context.config_loader, self.master, self.space.fixed)

    @cached_property
    def base(self) -> DictConfig:
        """The config with the values that all trials share, without Hydra's part."""
        config = self._compose([])
        with open_dict(config):
            del config["hydra"]
        return config

    def compose(self, params: dict[str, Value], *more: str) -> DictConfig:
        """Composes a config with these values and more overrides.

        Raises:
            SearchError: Hydra cannot compose it.
        """
        config = self._compose([*self.space.overrides(params), *more])
        hydra = config.hydra
        with open_dict(config):
            hydra.sweeper.study_name = self.study_name
            hydra.sweep.dir = str(self.folder)
        return config

    def of_trial(self, params: dict[str, Value], number: int, slot: Slot) -> dict[int | None, Job]:
        """Gives the jobs of a trial: one, or one by each seed where it is repeated."""
        if self.settings.repeats == 1:
            return {None: self._job(self.compose(params), number, slot)}
        jobs: dict[int | None, Job] = {}
        for seed in self.seeds(self.compose(params)):
            config = self.compose(params, f"{self.settings.seed_key}={literal(seed)}")
            jobs[seed] = self._job(config, number, slot, below=f"/seed-{seed}")
        return jobs

    def seeds(self, config: DictConfig) -> range:
        """Gives the seeds of the repeats: the config's own and those that follow.

        Raises:
            SearchError: the config has no whole number there.
        """
        key = self.settings.seed_key
        first = OmegaConf.select(config, key)
        if not isinstance(first, int) or isinstance(first, bool):
            raise SearchError(
                f"hydra.sweeper.repeats={self.settings.repeats} needs a whole number at "
                f"hydra.sweeper.seed_key={key}, the config has {first!r} there"
            )
        return range(first, first + self.settings.repeats)

    def _compose(self, overrides: list[str]) -> DictConfig:
        try:
            return self._composer.compose(overrides)
        except HydraException as error:
            trial = " ".join([*self.space.fixed, *overrides])
            raise SearchError(
                f"a trial with {trial} cannot be composed: {reason(error)}"
            ) from error

    def _job(self, config: DictConfig, number: int, slot: Slot, *, below: str = "") -> Job:
        name_without_secrets(config, {p.name for p in self.space.parameters})
        job, sweep = config.hydra.job, config.hydra.sweep
        with open_dict(config):
            job.num = number
            job.id = f"{self.study_name}-{number}"
            sweep.subdir = subdir = f"{sweep.subdir}{below}"
        return Job(
            self._app,
            config,
            Path(sweep.dir, subdir),
            dict(slot.environment),
            n_values=len(self.settings.direction),
        )

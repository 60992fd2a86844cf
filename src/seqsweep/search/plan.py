"""What a sweep is going to do, checked before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle
import optuna
from hydra.errors import HydraException
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict
from optuna.storages import BaseStorage

from seqsweep.errors import SearchError, reason
from seqsweep.folders import make_folder
from seqsweep.process.child import Job
from seqsweep.search.points import count_trials, points_wait, queue_points
from seqsweep.search.rehearsal import rehearse
from seqsweep.search.settings import Settings
from seqsweep.search.slots import Slot, make_slots
from seqsweep.search.space import Space, Value
from seqsweep.search.study import create_study, last_number, open_storage, sampler_class
from seqsweep.tracking.provenance import git_tags

N_TRIALS = 20  # of a sweep that does not say how many, as Hydra's own Optuna sweeper has it
OWN_FILE = "multirun.yaml"  # a sweep's folder has it, as with Hydra's sweepers


@dataclass
class Plan:
    """A search of `n_trials` over `space` with the task `function`.

    It crosses to workers as a pickle, so it holds plain values. `study_name` and `storage` (a URL
    or a path) are known once the sweep begins.
    """

    settings: Settings
    space: Space
    n_trials: int
    function: Callable[[DictConfig], Any]
    hydra_context: HydraContext
    master: DictConfig
    study_name: str = ""
    storage: str = ""
    claim: Path | None = None  # the file by which this sweep has taken its folder

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
        if not space.parameters:
            raise SearchError(
                "there is nothing to search: choose a sweep file, as sweep=NAME, or give a key of "
                "the config several values, as key=1,2 or key=interval(0,1)"
            )
        rehearse(settings, space)
        kind = sampler_class(settings.sampler)
        n_trials = count_trials(kind, space, settings.n_trials, N_TRIALS)
        plan = cls(settings, space, n_trials, function, hydra_context, master)
        plan._call_study(settings.study_name or plan._base)  # the folder's name may hold it
        plan.slots()
        plan._check_function()
        plan._check_configs()
        return plan

    @property
    def folder(self) -> Path:
        """The sweep's folder, whose subfolders are the jobs'."""
        return Path(self.master.hydra.sweep.dir).absolute()

    @property
    def metric(self) -> str:
        """What the objective is called on the screen."""
        return self.settings.metric or "value"

    def open_storage(self) -> BaseStorage:
        """Opens the store of studies, names this one and makes its folder.

        Raises:
            UserError: the store or the folder cannot be used, or holds another sweep.
        """
        if self.settings.storage is not None:
            storage = open_storage(self.settings.storage)
            self.storage = self.settings.storage
            self._name_after(last_number(storage, self._base))
            return storage
        self._name_after(0)
        self.storage = str(self.folder / "optuna.db")
        return open_storage(self.storage)

    def begin(self, storage: BaseStorage) -> optuna.Study:
        """Creates the study.

        Raises:
            UserError: the store cannot be written, or the given name is taken.
        """
        while True:
            study = create_study(storage, self.study_name, self.settings.direction)
            if study is not None:
                self._queue_points(study)
                OmegaConf.save(self.master, self.folder / OWN_FILE)
                return study
            self._give_back()
            if self.settings.study_name is not None:
                raise self._taken()
            self._name_after(last_number(storage, self._base))  # another sweep was faster

    def _queue_points(self, study: optuna.Study) -> None:
        """Lets the points wait where the sampler is one that tries them all."""
        kind, seed = sampler_class(self.settings.sampler), self.settings.sampler.get("seed")
        if points_wait(kind, len(self.slots())):
            seed = self.settings.seed if seed is None else seed
            queue_points(study, kind, self.space, n_trials=self.n_trials, seed=seed)

    @property
    def _base(self) -> str:
        """What a study without a name of its own is named after."""
        choices = self.master.hydra.runtime.choices
        return choices.get("sweep") or self.master.hydra.job.name

    def _name_after(self, number: int) -> None:
        """Takes the given name, or the first after `number` whose folder no sweep has taken.

        The folder is taken by making the file in it, which only one program can.
        """
        tried: Path | None = None
        while True:
            number += 1
            self._call_study(self.settings.study_name or f"{self._base}-{number}")
            make_folder(self.folder)
            try:
                (self.folder / OWN_FILE).touch(exist_ok=False)
                self.claim = self.folder / OWN_FILE
                return
            except FileExistsError as error:
                if self.settings.study_name is not None:
                    raise self._taken() from error
                if self.folder == tried:
                    raise SearchError(
                        f"the folder {self.folder} holds another sweep; give hydra.sweep.dir "
                        "another folder, or one with ${now:%H-%M-%S} or "
                        "${hydra.sweeper.study_name} in it"
                    ) from error
                tried = self.folder

    def _call_study(self, name: str) -> None:
        self.study_name = name
        with open_dict(self.master):
            self.master.hydra.sweeper.study_name = name

    @contextmanager
    def given_back_on_error(self) -> Iterator[None]:
        """Leaves the folder to other sweeps where this one does not come to begin."""
        try:
            yield
        except BaseException:
            self._give_back()
            raise

    def _give_back(self) -> None:
        """Removes the claim, if this sweep has one: the file may be another sweep's."""
        if self.claim is not None:
            self.claim.unlink(missing_ok=True)
            self.claim = None

    def _taken(self) -> SearchError:
        return SearchError(
            f"hydra.sweeper.study_name={self.study_name!r} is taken by an earlier sweep; give "
            "another name, or none for the next number"
        )

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
        folder = Path(config.hydra.sweep.dir, str(config.hydra.sweep.subdir))
        return Job(self.function, config, folder, self.hydra_context, dict(slot.environment))

    def _compose(self, params: dict[str, Value]) -> DictConfig:
        overrides = self.space.overrides(params)
        try:
            config = self.hydra_context.config_loader.load_sweep_config(self.master, overrides)
        except HydraException as error:
            raise SearchError(f"a trial cannot be composed: {reason(error)}") from error
        with open_dict(config):
            config.hydra.sweeper.study_name = self.study_name
            config.hydra.sweep.dir = str(self.folder)
        return config

    def _check_function(self) -> None:
        try:
            cloudpickle.dumps(self.function)
        except Exception as error:
            raise SearchError(
                f"the task function cannot be sent to a process of its own: {reason(error)}; keep "
                "what it uses, as locks and open files, in a module that it imports"
            ) from error

    def _check_configs(self) -> None:
        """Composes the corners of the space and lets the app's own check look at each."""
        check = self.settings.function("check")
        for params in self.space.corners():
            config = self._compose(params)
            if check is not None:
                check(config)

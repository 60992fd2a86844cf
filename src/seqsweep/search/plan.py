"""What a sweep is going to do, checked before anything is written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cloudpickle
import optuna
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf
from optuna.pruners import BasePruner
from optuna.samplers import RandomSampler

from seqsweep.errors import ConfigError, SearchError, UserError, reason
from seqsweep.record import text, visible
from seqsweep.search.settings import Settings
from seqsweep.search.space.known import count
from seqsweep.search.space.parameter import Value
from seqsweep.search.space.points import tries_all
from seqsweep.search.space.space import Space
from seqsweep.search.study.claim import Claim
from seqsweep.search.study.holder import Holder, take
from seqsweep.search.study.past import FOLDER, N_TRIALS, SEARCH, find, runs_elsewhere, search_of
from seqsweep.search.study.store.base import OnLost, Store
from seqsweep.search.study.store.opening import open_storage
from seqsweep.search.study.study import (
    can_prune,
    create_study,
    last_number,
    make_pruner,
    make_sampler,
    sampler_class,
)
from seqsweep.search.workers.jobs import CANNOT_BE_COMPOSED, Jobs
from seqsweep.search.workers.launcher import Kind
from seqsweep.search.workers.rehearsal import rehearse
from seqsweep.search.workers.slots import Slot, make_shared_slots, make_slots
from seqsweep.secrets import masked_yaml
from seqsweep.stores import file_of_studies
from seqsweep.tracking.provenance import git_tags

N_LOOKS = 5  # at points of a space that only a function of the user's knows


STOPS = ("timeout", "target", "patience", "max_failures", "max_failure_rate")


@dataclass
class Plan:
    """A search of the space with the task of the jobs.

    It crosses to workers as a pickle, so it holds plain values.

    Attributes:
        n_trials: how many trials are to end, None for as many as the time allows.
        known: points that are tried first, or all points of a grid.
        slots: the slots of this machine that are of use, of all workers that it has; those that
            run elsewhere have their own.
        storage: a URL or a path, known once the sweep begins.
        holder: this sweep, as others see it in the study; known once the sweep begins.
        before: the holder of a study that goes on, as it was found.
        note: why an earlier study does not go on, where a reader may expect it to.
    """

    settings: Settings
    space: Space
    jobs: Jobs
    claim: Claim
    n_trials: int | None
    known: list[dict[str, Value]]
    slots: list[Slot]
    storage: str = ""
    holder: Holder | None = None
    before: Holder | None = None
    note: str = ""

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
        if not space.parameters and settings.custom_search_space is None:
            raise SearchError(
                "there is nothing to search: choose a sweep file, as sweep=NAME, or give a key of "
                "the config several values, as key=1,2 or key=interval(0,1)"
            )
        jobs = Jobs(settings, space, function, hydra_context, master)
        claim = Claim(jobs)
        jobs.call_study(claim.given_name or claim.base)  # the folder's name may hold it
        slots = _slots(settings, jobs.launcher)
        try:
            sampler = make_sampler(
                settings.sampler, space, seed=settings.seed, is_extended=settings.is_extended
            )
            n_trials, known = count(settings, space, jobs)
        except UserError as error:
            raise _with_place(settings, error) from error
        pruner = _check_pruner(settings)
        plan = cls(settings, space, jobs, claim, n_trials, known, slots)
        _check_function(function)
        plan._check_configs()
        rehearse(sampler, pruner, settings.direction, plan.suggest)
        return plan

    @property
    def launcher(self) -> Kind:
        """What starts the workers."""
        return self.jobs.launcher

    @property
    def n_slots(self) -> int:
        """How many trials may run at once, as far as it is known where workers are started."""
        if self.launcher.is_local:
            return len(self.slots)
        n_jobs = self.settings.n_jobs
        return self.settings.n_workers * (1 if n_jobs == "auto" else n_jobs)

    @property
    def folder(self) -> Path:
        """The sweep's folder, whose subfolders are the jobs'."""
        return self.jobs.folder

    @property
    def study_name(self) -> str:
        """The study's name."""
        return self.jobs.study_name

    @property
    def how_to_go_on(self) -> str:
        """Says by which command a sweep that was ended goes on."""
        where = "" if self.settings.storage else f" with hydra.sweep.dir={self.folder}"
        return f"the same command{where} goes on"

    @property
    def places(self) -> list[Path]:
        """The folders that the sweep writes."""
        tracking = Path(self.settings.tracking.dir).expanduser().absolute()
        store = file_of_studies(self.settings.storage) if self.settings.storage else None
        return [self.folder, tracking, *([] if store is None else [store.parent])]

    def open_storage(self) -> Store:
        """Opens the store of studies, names this one and makes its folder.

        Raises:
            UserError: the store or the folder cannot be used, or holds another sweep.
        """
        file = self.folder / "optuna.db"
        if self.settings.storage is None and not file.exists():
            self.claim.take_after(0)
            self.storage = str(self.folder / "optuna.db")
            return self.connect()
        self.storage = self.settings.storage or str(file)
        storage = self.connect()
        if not self._continues(storage):
            self.claim.take_after(last_number(storage, self.claim.base))
        return storage

    def connect(self, on_lost: OnLost | None = None, *, total: int | None = None) -> Store:
        """Opens the store, whose place is known; of `total` trials none begins beyond them.

        Raises:
            UserError: it cannot be opened.
        """
        period = self.settings.grace_period
        return open_storage(self.storage, grace_period=period, on_lost=on_lost, total=total)

    def _continues(self, storage: Store) -> bool:
        """Takes the study of an earlier sweep where this one is to go on with it.

        That is the study of the given name, or the last one where its sweep was not finished.

        Raises:
            SearchError: a study of the given name has searched otherwise, or is being run.
        """
        past = find(storage, self.claim.base, self.claim.given_name)
        is_named = self.claim.given_name is not None
        if past is None or self.settings.fresh or (past.is_finished and not is_named):
            return False
        if difference := past.difference(search_of(self.jobs)):
            if is_named:
                raise SearchError(
                    f"hydra.sweeper.study_name={past.name!r} has searched otherwise, so it cannot "
                    f"go on with this: {difference}; give another name"
                )
            self.note = f"{past.name} was not finished, but searched otherwise: {difference}"
            return False
        where = runs_elsewhere(past, storage)
        if not where and self.claim.continue_in(past.name, past.folder or self.folder):
            self.before = past.holder
            return True
        if is_named:
            raise _is_run(past.name, where or "by another sweep now")
        self.note = f"{past.name} is being run {where}" if where else ""
        return False

    def begin(self, storage: Store) -> optuna.Study:
        """Creates the study, or loads it.

        Raises:
            UserError: the store cannot be written, or the given name is taken.
        """
        if not self.claim.is_new:
            study = optuna.load_study(study_name=self.study_name, storage=storage)
            self.holder = take(storage, study._study_id, self.before)
            if self.holder is None:
                raise _is_run(self.study_name, "by another sweep now, which was faster")
            study.set_user_attr(N_TRIALS, self.n_trials)
            if SEARCH not in study.user_attrs:
                self._write_down(study)
            return study
        while True:
            self.claim.keep()
            study = create_study(storage, self.study_name, self.settings.direction)
            if study is not None:
                self.claim.has_begun = True
                self.holder = take(storage, study._study_id, None)
                study.set_user_attr(FOLDER, str(self.folder))
                study.set_user_attr(N_TRIALS, self.n_trials)
                self._write_down(study)
                return study
            self.claim.give_back()
            if self.claim.given_name is not None:
                raise self.claim.taken()
            self.claim.take_after(last_number(storage, self.claim.base))  # another was faster

    def _write_down(self, study: optuna.Study) -> None:
        """Lets the known points wait in the study; then says what it searches: it has begun."""
        if not self.tries_all:
            for point in self.known[len(study.get_trials(deepcopy=False)) :]:
                study.enqueue_trial(point)
        study.set_user_attr(SEARCH, search_of(self.jobs))

    @property
    def tries_all(self) -> bool:
        """Whether the sweep tries every point of its space, which are its known ones."""
        kind = sampler_class(self.settings.sampler)
        return tries_all(kind, is_extended=self.settings.is_extended)

    def suggest(self, trial: optuna.Trial) -> dict[str, Value]:
        """Lets the sampler choose the trial's values.

        Raises:
            SearchError: the user's own search space gives a parameter that is already set.
        """
        values = self.space.suggest(trial)
        extend = self.settings.function("custom_search_space")
        if extend is None:
            return values
        extend(self.jobs.base, trial)
        added = {name: value for name, value in trial.params.items() if name not in values}
        fixed = {line.partition("=")[0].lstrip("+") for line in self.space.fixed}
        if twice := fixed & {name.lstrip("+") for name in added}:
            raise SearchError(
                f"hydra.sweeper.custom_search_space={self.settings.custom_search_space} searches "
                f"{', '.join(sorted(twice))}, which is set to one value as well"
            )
        return values | added

    def tags(self) -> dict[str, str]:
        """Gives the tags that tell from which code a run came."""
        return git_tags(Path(self.settings.tracking.dir))

    def described(self) -> dict[str, str]:
        """Gives what searches, and for how long."""
        settings = self.settings
        found = {role: getattr(settings, role)["_target_"] for role in ("sampler", "pruner")}
        found |= {name: text(getattr(settings, name)) for name in STOPS if getattr(settings, name)}
        found |= {"repeats": str(settings.repeats)} if settings.repeats > 1 else {}
        found |= {"n_trials": text(self.n_trials)}
        if self.launcher.is_basic:
            return found | {"slots": str(len(self.slots))}
        return found | {"workers": str(settings.n_workers), "launcher": self.launcher.name}

    def composed(self) -> str:
        """Gives the sweep as Hydra composed it, as YAML: how it searches, and what trials share."""
        sweeper = OmegaConf.to_container(self.jobs.master.hydra.sweeper, resolve=True)
        shared = visible(self.jobs.base, self.settings.tracking.hidden)
        return masked_yaml({"hydra": {"sweeper": sweeper}, **shared})

    def _check_configs(self) -> None:
        """Composes some configs of the space and lets the app's own check look at each."""
        check = self.settings.function("check")
        for params in self._some_points():
            try:
                config = self.jobs.compose(params)
                if self.settings.repeats > 1:
                    self.jobs.seeds(config)
                if check is not None:
                    check(config)
            except UserError as error:
                raise _with_place(self.settings, error) from error

    def _some_points(self) -> Iterator[dict[str, Value]]:
        if self.settings.custom_search_space is None:
            yield from self.space.corners()
            return
        study = optuna.create_study(sampler=RandomSampler(seed=0))
        for _ in range(N_LOOKS):
            try:
                yield self.suggest(study.ask())
            except UserError:
                raise
            except Exception as error:
                raise SearchError(
                    f"hydra.sweeper.custom_search_space={self.settings.custom_search_space} "
                    f"failed: {type(error).__name__}: {reason(error)}"
                ) from error


def _slots(settings: Settings, launcher: Kind) -> list[Slot]:
    """Gives the slots of this machine; where workers run elsewhere no more than one is used."""
    n_jobs = None if settings.n_jobs == "auto" else settings.n_jobs
    if launcher.is_basic and settings.n_workers > 1:
        raise SearchError(
            f"hydra.sweeper.n_workers={settings.n_workers} needs a launcher that starts processes: "
            "take hydra/launcher=joblib, submitit_local, submitit_slurm or ray; one worker runs as "
            "many trials at once as it has slots"
        )
    if launcher.is_local:
        return make_shared_slots(settings.devices, n_jobs, settings.n_workers)
    try:
        return make_slots(settings.devices, 1)
    except ConfigError:  # the machine that starts workers need not have their devices
        return make_slots(replace(settings.devices, name="cpu", slots=None), 1)


def _is_run(name: str, where: str) -> SearchError:
    return SearchError(
        f"hydra.sweeper.study_name={name!r} is being run {where}, or give another name"
    )


def _with_place(settings: Settings, error: UserError) -> UserError:
    """Gives the error with the place in the sweep's config of each parameter that it names."""
    said = str(error).rpartition(CANNOT_BE_COMPOSED)[2]
    places = [
        f"hydra.sweeper.params.{key}"
        for key in settings.params or {}
        if re.search(rf"(?<![\w.]){re.escape(key.lstrip('+'))}(?![\w.])", said)
    ]
    return type(error)(f"{error} ({', '.join(places)})") if places else error


def _check_pruner(settings: Settings) -> BasePruner:
    pruner = make_pruner(settings.pruner)
    if len(settings.direction) > 1 and can_prune(pruner):
        raise SearchError(
            f"hydra.sweeper.pruner {type(pruner).__name__} judges one objective, but "
            "hydra.sweeper.direction names several; take hydra/sweeper/pruner=none"
        )
    return pruner


def _check_function(function: Callable[[DictConfig], Any]) -> None:
    try:
        cloudpickle.dumps(function)
    except Exception as error:
        raise SearchError(
            f"the task function cannot be sent to a process of its own: {reason(error)}; keep "
            "what it uses, as locks and open files, in a module that it imports"
        ) from error

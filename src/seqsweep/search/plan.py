"""What a sweep is going to do: what is known of it before its first trial."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import optuna
from omegaconf import OmegaConf

from seqsweep.errors import SearchError
from seqsweep.record import text, visible
from seqsweep.search.settings import Settings
from seqsweep.search.space.parameter import Value
from seqsweep.search.space.points import tries_all
from seqsweep.search.space.space import Space
from seqsweep.search.study.claim import Claim
from seqsweep.search.study.holder import Holder
from seqsweep.search.study.store.base import OnLost, Store
from seqsweep.search.study.store.opening import open_storage
from seqsweep.search.study.study import sampler_class
from seqsweep.search.workers.jobs import Jobs
from seqsweep.search.workers.launcher import Kind
from seqsweep.search.workers.slots import Slot
from seqsweep.secrets import masked_yaml
from seqsweep.stores import file_of_studies
from seqsweep.tracking.provenance import git_tags

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

    def connect(self, on_lost: OnLost | None = None, *, total: int | None = None) -> Store:
        """Opens the store, whose place is known; of `total` trials none begins beyond them.

        Raises:
            UserError: it cannot be opened.
        """
        period = self.settings.grace_period
        return open_storage(self.storage, grace_period=period, on_lost=on_lost, total=total)

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

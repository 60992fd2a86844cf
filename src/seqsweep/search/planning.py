"""How a sweep is planned: all that can be tried without training is tried before it begins."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import cloudpickle
import optuna
from hydra.types import HydraContext
from omegaconf import DictConfig
from optuna.pruners import BasePruner
from optuna.samplers import RandomSampler

from seqsweep.errors import ConfigError, SearchError, UserError, reason
from seqsweep.search.plan import Plan
from seqsweep.search.settings import Settings
from seqsweep.search.space.known import count
from seqsweep.search.space.parameter import Value
from seqsweep.search.space.space import Space
from seqsweep.search.study.claim import Claim
from seqsweep.search.study.study import can_prune, make_pruner, make_sampler
from seqsweep.search.workers.jobs import CANNOT_BE_COMPOSED, Jobs
from seqsweep.search.workers.launcher import Kind
from seqsweep.search.workers.rehearsal import rehearse
from seqsweep.search.workers.slots import Slot, make_shared_slots, make_slots

N_LOOKS = 5  # at points of a space that only a function of the user's knows


def make_plan(
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
    plan = Plan(settings, space, jobs, claim, n_trials, known, slots)
    _check_function(function)
    _check_configs(plan)
    rehearse(sampler, pruner, settings.direction, plan.suggest)
    return plan


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


def _check_configs(plan: Plan) -> None:
    """Composes some configs of the space and lets the app's own check look at each."""
    check = plan.settings.function("check")
    for params in _some_points(plan):
        try:
            config = plan.jobs.compose(params)
            if plan.settings.repeats > 1:
                plan.jobs.seeds(config)
            if check is not None:
                check(config)
        except UserError as error:
            raise _with_place(plan.settings, error) from error


def _some_points(plan: Plan) -> Iterator[dict[str, Value]]:
    if plan.settings.custom_search_space is None:
        yield from plan.space.corners()
        return
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    for _ in range(N_LOOKS):
        try:
            yield plan.suggest(study.ask())
        except UserError:
            raise
        except Exception as error:
            raise SearchError(
                f"hydra.sweeper.custom_search_space={plan.settings.custom_search_space} "
                f"failed: {type(error).__name__}: {reason(error)}"
            ) from error


def _with_place(settings: Settings, error: UserError) -> UserError:
    """Gives the error with the place in the sweep's config of each parameter that it names."""
    said = str(error).rpartition(CANNOT_BE_COMPOSED)[2]
    places = [
        f"hydra.sweeper.params.{key}"
        for key in settings.params or {}
        if re.search(rf"(?<![\w.]){re.escape(key.lstrip('+'))}(?![\w.])", said)
    ]
    return type(error)(f"{error} ({', '.join(places)})") if places else error

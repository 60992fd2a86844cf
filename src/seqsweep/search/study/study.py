"""The Optuna study: how it begins, who samples and who prunes."""

from __future__ import annotations

import secrets
import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import optuna
from optuna.pruners import BasePruner, NopPruner
from optuna.samplers import BaseSampler, QMCSampler, RandomSampler
from optuna.storages import BaseStorage

from seqsweep.search.space.points import check_space, tries_all
from seqsweep.search.space.space import Space
from seqsweep.search.study.build import TARGET, build, class_of, deal
from seqsweep.search.study.seeded import SeededByNumber
from seqsweep.search.study.store.base import store_error

SAMPLER, PRUNER = "hydra.sweeper.sampler", "hydra.sweeper.pruner"


def create_study(storage: BaseStorage, name: str, directions: Sequence[str]) -> optuna.Study | None:
    """Creates the study; gives None where its name is taken.

    Raises:
        SearchError: the store cannot be written.
    """
    try:
        return optuna.create_study(storage=storage, study_name=name, directions=directions)
    except optuna.exceptions.DuplicatedStudyError:
        return None
    except Exception as error:
        raise store_error("written", error) from error


def last_number(storage: BaseStorage, base: str) -> int:
    """Gives the highest n of the studies named `base-n`, 0 without any."""
    names = [study.study_name for study in storage.get_all_studies()]
    numbers = [name.removeprefix(f"{base}-") for name in names if name.startswith(f"{base}-")]
    return max((int(number) for number in numbers if number.isdecimal()), default=0)


def sampler_class(config: dict[str, Any]) -> type:
    """Gives the class of the sampler.

    Raises:
        SearchError: the config names no sampler.
    """
    return class_of(config, BaseSampler, SAMPLER)


def make_sampler(
    config: dict[str, Any],
    space: Space,
    *,
    seed: int | None,
    n_slots: int = 1,
    is_extended: bool = False,
    chance: int | None = None,
) -> BaseSampler:
    """Builds the sampler; what has no seed of its own gets `seed`.

    `is_extended` says that a function of the user's adds to the space; `chance` is what stands for
    a seed where there is none, the same in all processes that sample for one study.

    Raises:
        SearchError: it cannot be built, or cannot sample this space.
    """
    kind = sampler_class(config)
    check_space(kind, config, space, is_extended=is_extended)
    if tries_all(kind, is_extended=is_extended):
        return RandomSampler()  # in place of a `PointSampler`, which needs the study
    seeded = deal(config, lambda _kind, own: seed if own is None else own, SAMPLER)
    # A class that is not Optuna's may keep in its instance what it has learned
    if n_slots == 1 or kind.__module__.partition(".")[0] != "optuna":
        return build(seeded, BaseSampler, SAMPLER)
    chance = secrets.randbits(32) if chance is None else chance
    return SeededByNumber(partial(_sampler_of, seeded, chance))


def _sampler_of(config: dict[str, Any], chance: int, number: int) -> BaseSampler:
    """Builds a trial's own sampler, whose seed goes by the trial's number.

    All samplers of Optuna 5.0 can be made anew for each trial, as each process of a distributed
    study does: TPE, GP and random read the finished trials, CMA-ES keeps its optimiser and NSGA-II
    its generations in the study, QMC its place in the sequence. In the instance GP only keeps where
    the next fit of its kernel starts.
    """

    def dealt(kind: type, own: int | None) -> int:
        base = chance if own is None else own
        if issubclass(kind, QMCSampler):
            return base  # scrambles the one sequence that all trials share
        return int(np.random.SeedSequence([base, number]).generate_state(1)[0])

    if issubclass(sampler_class(config), QMCSampler):
        first = {TARGET: "optuna.samplers.RandomSampler", "seed": config["seed"]}
        config = {"independent_sampler": first, **config}
    return build(deal(config, dealt, SAMPLER), BaseSampler, SAMPLER)


def make_pruner(config: dict[str, Any]) -> BasePruner:
    """Builds the pruner.

    Raises:
        SearchError: it cannot be built.
    """
    return build(config, BasePruner, PRUNER)


def can_prune(pruner: BasePruner) -> bool:
    """Says whether the pruner ever stops a trial."""
    return not isinstance(pruner, NopPruner)


def silence_optuna() -> None:
    """Keeps Optuna's own lines off the screen: the display says the same, once.

    Nor is a user told at each trial that the option by that name is experimental to Optuna.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    warnings.filterwarnings(
        "ignore", "The reported value is ignored"
    )  # of a step that was reported

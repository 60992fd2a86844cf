"""How many trials a sweep has, and which points it is known to try."""

from __future__ import annotations

from typing import Any

from omegaconf import OmegaConf

from seqsweep.errors import SearchError
from seqsweep.search.settings import CURRENT, Settings
from seqsweep.search.space.parameter import Value
from seqsweep.search.space.points import in_order, tries_all
from seqsweep.search.space.space import Space
from seqsweep.search.study.study import sampler_class
from seqsweep.search.workers.jobs import Jobs

N_TRIALS = 20  # of a sweep that does not say how many, as Hydra's own Optuna sweeper has it


def count(
    settings: Settings, space: Space, jobs: Jobs
) -> tuple[int | None, list[dict[str, Value]]]:
    """Gives how many trials there are, None for as many as the time allows, and the known points.

    The known ones are tried first; they are all where the sampler tries every point.
    """
    kind = sampler_class(settings.sampler)
    if not tries_all(kind, is_extended=settings.is_extended):
        known = [
            _current(space, jobs) if point == CURRENT else _known(space, point, f"enqueue.{i}")
            for i, point in enumerate(settings.enqueue)
        ]
        n_trials = settings.n_trials or (None if settings.timeout else N_TRIALS)
        if n_trials is not None and len(known) > n_trials:
            raise SearchError(
                f"hydra.sweeper.enqueue has {len(known)} sets of values, more than the "
                f"{n_trials} trials of n_trials"
            )
        return n_trials, known
    if settings.enqueue:
        raise SearchError(
            f"hydra.sweeper.enqueue does not go with {kind.__name__}, which tries every point "
            "anyway; take another sampler, as hydra/sweeper/sampler=tpe"
        )
    seed = settings.sampler.get("seed")
    points = in_order(kind, space, settings.seed if seed is None else seed)
    n_trials = min(settings.n_trials or len(points), len(points))
    return n_trials, points


def _known(space: Space, point: dict[str, Any], field: str) -> dict[str, Value]:
    parameters = {p.name: p for p in space.parameters}
    unknown = [str(name) for name in point if name not in parameters]
    if unknown:
        raise SearchError(
            f"hydra.sweeper.{field} sets {', '.join(unknown)}, which is not searched; searched are "
            f"{', '.join(parameters)}"
        )
    try:
        values = {name: parameters[name].read(value) for name, value in point.items()}
    except SearchError as error:
        raise SearchError(f"hydra.sweeper.{field}: {error}") from error
    for name in values:
        if not parameters[name].may_exist(values):
            raise SearchError(
                f"hydra.sweeper.{field} sets {name}, which does not exist with the other values"
            )
    return values


def _current(space: Space, jobs: Jobs) -> dict[str, Value]:
    """Gives the values that the config has now, of those parameters that exist with them."""
    choices = jobs.master.hydra.runtime.choices
    values: dict[str, Value] = {}
    for parameter in space.parameters:
        name = parameter.name
        value = choices[name] if name in choices else OmegaConf.select(jobs.base, name)
        if parameter.exists(values) and not parameter.key.startswith("+"):
            try:
                values[name] = parameter.read(value)
            except SearchError as error:
                raise SearchError(f"hydra.sweeper.enqueue: {CURRENT}: {error}") from error
    return values

"""A made-up study on which sampler and pruner are tried before any trial trains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optuna
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler, RandomSampler

from seqsweep.errors import SearchError, first_line
from seqsweep.search.study.study import PRUNER, SAMPLER

N_ENDED = 12  # more than most samplers want before they learn
LAST_STEP = 10**6


def rehearse(
    sampler: BaseSampler,
    pruner: BasePruner,
    directions: tuple[str, ...],
    suggest: Callable[[optuna.Trial], Any],
) -> None:
    """Lets the sampler choose what `suggest` asks for and the pruner judge, once trials have ended.

    Optuna looks at some arguments only then: Hyperband at its resources, TPE at its candidates.
    With several objectives nothing is judged, as Optuna does not.

    Raises:
        SearchError: one of them cannot do it.
    """
    study = optuna.create_study(
        sampler=RandomSampler(seed=0), pruner=pruner, directions=list(directions)
    )
    for number in range(N_ENDED):
        trial = study.ask()
        suggest(trial)
        if len(directions) == 1:
            for step in (1, LAST_STEP):
                trial.report(float(number), step)
        study.tell(trial, [float(number)] * len(directions))
    study.sampler = sampler
    try:
        trial = study.ask()
        suggest(trial)
    except Exception as error:
        raise _cannot(SAMPLER, "choose values", sampler, error) from error
    if len(directions) > 1:
        return
    try:
        trial.report(float(N_ENDED), 1)
        trial.should_prune()
    except Exception as error:
        raise _cannot(PRUNER, "judge a trial", pruner, error) from error


def _cannot(key: str, what: str, chosen: object, error: Exception) -> SearchError:
    return SearchError(f"{key} {type(chosen).__name__} cannot {what}: {first_line(error)}")

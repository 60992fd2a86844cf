"""A made-up study on which sampler and pruner are tried before any trial trains."""

from __future__ import annotations

import optuna
from optuna.samplers import RandomSampler

from seqsweep.errors import SearchError, first_line
from seqsweep.search.settings import Settings
from seqsweep.search.space import Space
from seqsweep.search.study import PRUNER, SAMPLER, make_pruner, make_sampler

N_ENDED = 12  # more than most samplers want before they learn
LAST_STEP = 10**6


def rehearse(settings: Settings, space: Space) -> None:
    """Lets the sampler choose from this space and the pruner judge, once trials have ended.

    Optuna looks at some arguments only then: Hyperband at its resources, TPE at its candidates.

    Raises:
        SearchError: one of them cannot be built or cannot do it.
    """
    sampler = make_sampler(settings.sampler, space, seed=settings.seed)
    study = optuna.create_study(
        sampler=RandomSampler(seed=0),
        pruner=make_pruner(settings.pruner),
        direction=settings.direction,
    )
    for number in range(N_ENDED):
        trial = study.ask()
        space.suggest(trial)
        for step in (1, LAST_STEP):
            trial.report(float(number), step)
        study.tell(trial, float(number))
    study.sampler = sampler
    try:
        trial = study.ask()
        space.suggest(trial)
    except Exception as error:
        raise _cannot(SAMPLER, "choose values", sampler, error) from error
    try:
        trial.report(float(N_ENDED), 1)
        trial.should_prune()
    except Exception as error:
        raise _cannot(PRUNER, "judge a trial", study.pruner, error) from error


def _cannot(key: str, what: str, chosen: object, error: Exception) -> SearchError:
    return SearchError(f"{key} {type(chosen).__name__} cannot {what}: {first_line(error)}")

"""What a trial keeps in the folder `checkpoint/` of its job goes to the trial that tries it again.

It is renamed, never copied, so that it is there once, however the sweep ends meanwhile.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial

from seqsweep.outcome import INTERRUPTED, Failed, Outcome
from seqsweep.process.child import Job
from seqsweep.process.messages import CHECKPOINT_FOLDER
from seqsweep.search.workers.stops import RETRY_OF

JobsBySeed = Mapping[int | None, Job]  # of one trial, by seed
NOWHERE = -1  # before all steps


def take(trial: optuna.Trial, jobs: JobsBySeed, jobs_of: Callable[[int], JobsBySeed]) -> int:
    """Moves the checkpoints of the nearest trial before `trial` that left one into its jobs.

    Gives the last step at which the pruner has let one of those trials go on: up to there this one
    repeats what was judged. It is -1 where there is no checkpoint.

    Args:
        trial: one that tries others again, or a new one; then what lies in its folders goes.
        jobs: its own jobs.
        jobs_of: gives the jobs of the trial of a number.
    """
    earlier = list(_tried_before(trial))
    if not earlier:
        _remove(jobs.values())
        return NOWHERE
    wanted = {seed: _checkpoint(job) for seed, job in jobs.items()}
    for number in (t.number for t in earlier):
        for seed, job in jobs_of(number).items() if wanted else ():
            if seed in wanted and _checkpoint(job).is_dir():
                _move(_checkpoint(job), wanted.pop(seed))
    if len(wanted) == len(jobs):
        return NOWHERE
    return max((t.last_step for t in earlier if t.last_step is not None), default=NOWHERE)


def drop(jobs: JobsBySeed, outcome: Outcome) -> None:
    """Removes the checkpoints of a trial that nobody will try again."""
    is_failure = isinstance(outcome, Failed)
    if not (is_failure and (outcome.again or outcome.reason == INTERRUPTED)):
        _remove(jobs.values())


def _tried_before(trial: optuna.Trial) -> Iterator[FrozenTrial]:
    """Gives the trials that this one tries again, the last one first."""
    number = trial.user_attrs.get(RETRY_OF)
    if number is None:
        return
    trials = {each.number: each for each in trial.study.get_trials(deepcopy=False)}
    while number in trials:
        yield trials[number]
        number = trials[number].user_attrs.get(RETRY_OF)


def _checkpoint(job: Job) -> Path:
    return job.folder / CHECKPOINT_FOLDER


def _move(left: Path, own: Path) -> None:
    if left != own:  # a folder's name need not depend on the number
        own.parent.mkdir(parents=True, exist_ok=True)
        left.rename(own)


def _remove(jobs: Iterable[Job]) -> None:
    for job in jobs:
        shutil.rmtree(_checkpoint(job), ignore_errors=True)

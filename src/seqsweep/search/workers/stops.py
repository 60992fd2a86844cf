"""When a sweep starts no more trials: pure functions of the trials that a study has.

A trial that was tried again does not count; the trial that tries it again does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial, Trial, TrialState

from seqsweep.outcome import INTERRUPTED
from seqsweep.search.settings import Settings

RETRY_OF = "retry_of"  # a trial's attribute: the number of the one whose values it tries again
# Asked of all trials before each new one, where Optuna's own method takes five times as long.
ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
FEW = 10  # below so many trials a rate of failures says little


@dataclass(frozen=True)
class Stop:
    """What ended a sweep: the field of `hydra.sweeper` that says so, and a sentence."""

    field: str
    says: str
    is_failure: bool = False

    @property
    def ends_the_study(self) -> bool:
        """Whether the same command begins a new study next time, rather than going on with this."""
        return self.field not in ("interrupt", "storage", "grace_period", "devices")

    @property
    def reason(self) -> str:
        """The sentence, with the field where it is one."""
        return self.says if self.says == INTERRUPTED else f"ended by {self.field}: {self.says}"


INTERRUPT = Stop("interrupt", INTERRUPTED, is_failure=True)


def settled(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Gives the trials that have ended and are not tried again."""
    retried = retried_numbers(trials)
    return [t for t in trials if t.state in ENDED and t.number not in retried]


def retried_numbers(trials: Sequence[FrozenTrial]) -> set[int]:
    """Gives the numbers of the trials that others try again, or wait to."""
    return {t.user_attrs[RETRY_OF] for t in trials if RETRY_OF in t.user_attrs}


def is_feasible(trial: Trial | FrozenTrial) -> bool:
    """Says whether the trial breaks no constraint."""
    return all(value <= 0 for value in trial.constraints.values())


def find_stop(settings: Settings, total: int | None, ended: Sequence[FrozenTrial]) -> Stop | None:
    """Gives what the settled trials say must end the sweep of `total` trials, None for go on."""
    return (
        _failures(settings, total, ended)
        or _target(settings, ended)
        or _number(total, ended)
        or _patience(settings, ended)
    )


def _failures(settings: Settings, total: int | None, ended: Sequence[FrozenTrial]) -> Stop | None:
    failed = sum(t.state is TrialState.FAIL for t in ended)
    if settings.max_failures is not None and failed > settings.max_failures:
        return Stop(
            "max_failures", f"{failed} trials failed, {settings.max_failures} may", is_failure=True
        )
    rate = settings.max_failure_rate
    least = FEW if total is None else min(FEW, total)
    if rate is not None and failed > rate * max(len(ended), least):
        return Stop(
            "max_failure_rate",
            f"{failed} of {len(ended)} trials failed, a share of {rate:g} may",
            is_failure=True,
        )
    return None


def _target(settings: Settings, ended: Sequence[FrozenTrial]) -> Stop | None:
    if settings.target is None:
        return None
    sign = settings.signs[0]
    for trial in ended:
        counts = trial.state is TrialState.COMPLETE and is_feasible(trial)
        if counts and sign * trial.values[0] >= sign * settings.target:
            return Stop(
                "target",
                f"trial {trial.number} reached {trial.values[0]:g}, the target is "
                f"{settings.target:g}",
            )
    return None


def _number(total: int | None, ended: Sequence[FrozenTrial]) -> Stop | None:
    if total is None or len(ended) < total:
        return None
    return Stop("n_trials", f"{total} {'trial has' if total == 1 else 'trials have'} ended")


def _patience(settings: Settings, ended: Sequence[FrozenTrial]) -> Stop | None:
    if settings.patience is None:
        return None
    sign, best, waited = settings.signs[0], None, 0
    finished = [t for t in ended if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    for trial in sorted(finished, key=lambda t: t.datetime_complete):
        counts = trial.state is TrialState.COMPLETE and is_feasible(trial)
        if counts and (best is None or sign * trial.values[0] > sign * best):
            best, waited = trial.values[0], 0
        elif best is not None:
            waited += 1
    if waited < settings.patience:
        return None
    return Stop("patience", f"{waited} trials ended without improving on {best:g}")

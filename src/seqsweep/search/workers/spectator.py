"""Shows trials that other processes run, as the study tells of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import optuna
from optuna.trial import FrozenTrial, TrialState

from seqsweep.outcome import Completed
from seqsweep.search.report.best import Front
from seqsweep.search.report.display import Display, Shown
from seqsweep.search.study.past import outcome_of
from seqsweep.search.workers.stops import RETRY_OF, is_feasible, retried_numbers


class Spectator:
    """Tells a display of the trials of a study; of those that had ended before it says nothing."""

    def __init__(self, display: Display, study: optuna.Study) -> None:
        self._display = display
        self._front = Front(study)
        self._told = {t.number for t in study.get_trials(deepcopy=False) if t.state.is_finished()}
        self._running: dict[int, tuple[Shown, ExitStack]] = {}

    def look(self, trials: Sequence[FrozenTrial]) -> None:
        """Tells what is new."""
        retried = retried_numbers(trials)
        for trial in trials:
            if trial.state is TrialState.RUNNING and trial.params:
                self._shown(trial)
            elif trial.state.is_finished() and trial.number not in self._told:
                self._told.add(trial.number)
                self._end(trial, is_retried=trial.number in retried)

    def _shown(self, trial: FrozenTrial) -> Shown:
        if trial.number not in self._running:
            bar = ExitStack()
            shown = bar.enter_context(self._display.trial(trial.number, "", trial.params))
            self._running[trial.number] = (shown, bar)
        return self._running[trial.number][0]

    def _end(self, trial: FrozenTrial, *, is_retried: bool) -> None:
        outcome = outcome_of(trial)
        is_kept = isinstance(outcome, Completed) and is_feasible(trial)
        shown = self._shown(trial)
        shown.ended(
            outcome,
            best=is_kept and self._front.improves(outcome.values),
            retry_of=trial.user_attrs.get(RETRY_OF),
            is_retried=is_retried,
            params=trial.params,
            seconds=trial.duration.total_seconds() if trial.duration else 0.0,
        )
        self._running.pop(trial.number)[1].close()

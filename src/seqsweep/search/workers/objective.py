"""One trial, as Optuna's objective: what it tries, how it ended, whether it is tried again."""

from __future__ import annotations

import threading
from dataclasses import replace

import optuna
from optuna.trial import FrozenTrial, TrialState

from seqsweep.outcome import (
    INTERRUPTED,
    Completed,
    DeviceFailed,
    Failed,
    Misfit,
    Outcome,
    Pruned,
)
from seqsweep.process.result import raised
from seqsweep.search.plan import Plan
from seqsweep.search.report.best import Front
from seqsweep.search.report.display import Display
from seqsweep.search.space.parameter import Value
from seqsweep.search.study.past import SILENT, TRIES, WORKER, run_again
from seqsweep.search.study.store.base import STORE_ERRORS
from seqsweep.search.study.study import can_prune
from seqsweep.search.workers.budget import Budget
from seqsweep.search.workers.room import named, says_full, with_more_room
from seqsweep.search.workers.runner import OnProgress, Runner
from seqsweep.search.workers.slots import Slot
from seqsweep.search.workers.stops import RETRY_OF, Stop, is_feasible


class TrialFailedError(Exception):
    """Tells Optuna that a trial ended without a value."""


class TrialLost(BaseException):
    """A trial has ended that others had taken for lost: there is nothing to tell Optuna."""


class Objective:
    """Runs trials of a study by `runner`; called from the threads of the slots.

    `worker` is the name of the worker that it belongs to, where there are several.
    """

    def __init__(
        self,
        plan: Plan,
        study: optuna.Study,
        runner: Runner,
        budget: Budget,
        display: Display,
        *,
        worker: str | None,
    ) -> None:
        self._plan, self._settings = plan, plan.settings
        self._study = study
        self._runner, self._budget, self._display = runner, budget, display
        self._worker = worker
        self._prunes = can_prune(study.pruner)
        self._front = Front(study)
        self._suggesting = threading.Lock()

    def __call__(self, slot: Slot, trial: optuna.Trial) -> tuple[float, ...]:
        """Runs one trial and tells Optuna how it ended.

        Raises:
            TrialPruned: it was pruned.
            TrialFailedError: it failed.
            TrialLost: others have told of its end.
        """
        if self._worker is not None:
            trial.set_user_attr(WORKER, self._worker)
        params, failed = self._suggest(trial)
        retry_of = trial.user_attrs.get(RETRY_OF)
        with self._display.trial(trial.number, slot.name, params) as shown:
            if failed is None:
                outcome = self._run(trial, params, slot, shown.progressed)
            else:
                outcome = self._runner.fail(trial, params, failed)
            outcome = self._heed(outcome)
            stored = self._study._storage.get_trial(trial._trial_id)
            # Others take it for lost where this process was suspended and is not heard of
            if stored.state is not TrialState.RUNNING:
                lost = Failed(SILENT)
                shown.ended(lost, best=False, retry_of=retry_of)
                self._runner.close(trial, lost)
                raise TrialLost
            self._runner.name_runs(trial)
            is_retried = self._retry(stored, outcome)
            best = self._is_best(stored, outcome)
            shown.ended(outcome, best=best, retry_of=retry_of, is_retried=is_retried)
        if self._prunes and isinstance(outcome, Completed) and not stored.intermediate_values:
            self._tell_that_nothing_is_pruned(trial.number)
        match outcome:
            case Completed(values):
                return values
            case Pruned(step):
                raise optuna.TrialPruned(f"at report {step}")
            case Failed(reason):
                trial.set_user_attr("reason", reason)
                raise TrialFailedError(reason)

    def _tell_that_nothing_is_pruned(self, number: int) -> None:
        self._prunes = False  # told once
        what = f"{self._settings.metric[0]} was not" if self._settings.metric else "nothing was"
        self._display.note(f"{what} reported by trial {number}: the pruner cannot judge it")

    def _suggest(self, trial: optuna.Trial) -> tuple[dict[str, Value], Failed | None]:
        """Gives the trial's values, or why there are none; the store's failures are not its own."""
        try:
            with self._suggesting:  # a sampler is not made for several threads
                return self._plan.suggest(trial), None
        except STORE_ERRORS:
            raise
        except Exception as error:
            return {}, replace(raised(error), again=False)  # with other values

    def _run(
        self, trial: optuna.Trial, params: dict[str, Value], slot: Slot, on_progress: OnProgress
    ) -> Outcome:
        if self._settings.skip_duplicates and (twin := self._twin(params)) is not None:
            return self._runner.copy(trial, params, twin)
        return self._runner.run(trial, params, slot, on_progress)

    def _twin(self, params: dict[str, Value]) -> FrozenTrial | None:
        """Gives a trial that has finished with the same values, None where there is none."""
        finished = self._trials(TrialState.COMPLETE, TrialState.PRUNED)
        return next((trial for trial in finished if trial.params == params), None)

    def _heed(self, outcome: Outcome) -> Outcome:
        """Ends the sweep where the next trials would fail as this one has; gives the outcome."""
        if not isinstance(outcome, Failed):
            return outcome
        if isinstance(outcome, Misfit) and not self._trials(TrialState.COMPLETE):
            self._budget.stop(Stop("function", outcome.reason, is_failure=True))
        outcome = named(outcome)
        if says_full(outcome.reason):
            plan = self._plan
            says = with_more_room(outcome.reason, plan.places, plan.how_to_go_on)
            self._budget.stop(Stop("storage", says, is_failure=True))
        return outcome

    def _is_best(self, trial: FrozenTrial, outcome: Outcome) -> bool:
        is_kept = isinstance(outcome, Completed) and is_feasible(trial)
        return is_kept and self._front.improves(outcome.values)

    def _retry(self, trial: FrozenTrial, outcome: Outcome) -> bool:
        """Lets a failed trial's values wait to be tried again; says whether it does."""
        is_handed_back = self._runner.interrupt.hands_back and outcome == Failed(INTERRUPTED)
        if isinstance(outcome, DeviceFailed) or is_handed_back:
            run_again(self._study, trial)
            return True
        if not (isinstance(outcome, Failed) and outcome.again) or self._budget.stopped_by:
            return False
        tries = trial.user_attrs.get(TRIES, 1)
        if tries > self._settings.max_retries:
            return False
        run_again(self._study, trial, tries + 1)
        return True

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=states)

"""The trials that a worker runs: a thread for each of its slots, and who may end them."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import BaseSampler
from optuna.storages import fail_stale_trials
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console

from seqsweep.errors import SearchError
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
from seqsweep.search.space.points import PointSampler
from seqsweep.search.study.holder import Holder
from seqsweep.search.study.past import SILENT, TRIES, WORKER, run_again
from seqsweep.search.study.records import RUN_KEY
from seqsweep.search.study.store.base import LOOK_S, STORE_ERRORS, AllTakenError, why_it_failed
from seqsweep.search.study.study import (
    can_prune,
    make_pruner,
    make_sampler,
)
from seqsweep.search.workers.budget import Budget
from seqsweep.search.workers.crew import (
    GONE,
    ORPHANED,
    Crew,
    flush,
    tell_all,
    why_to_end,
)
from seqsweep.search.workers.health import Health
from seqsweep.search.workers.room import named, says_full, with_more_room
from seqsweep.search.workers.runner import Runner
from seqsweep.search.workers.slots import Slot
from seqsweep.search.workers.stops import RETRY_OF, Stop, is_feasible, settled
from seqsweep.signals import handled_by, let_the_next_one_kill
from seqsweep.tracking import HURRY_S, open_tracking

if TYPE_CHECKING:
    from seqsweep.search.workers.worker import Worker

EXHAUSTED = Stop("sampler", "the sampler has tried every point")
AT_ONCE = ("interrupt", "grace_period")  # stops that end what runs
# Stops that the other workers cannot see for themselves.
OF_ALL = ("function", "storage", "sampler")


class TrialFailedError(Exception):
    """Tells Optuna that a trial ended without a value."""


class TrialLost(BaseException):
    """A trial has ended that others had taken for lost: there is nothing to tell Optuna."""


class SlotGone(BaseException):
    """The device of a slot has failed, so the slot runs no more trials."""


class Session:
    """One call of a worker: its open study and tracking, and the threads of its slots."""

    def __init__(
        self, worker: Worker, slots: list[Slot], console: Console, folder: Path | None = None
    ) -> None:
        self._plan = plan = worker.plan
        self._settings = settings = plan.settings
        self._crew = crew = worker.crew
        self._slots = slots
        self._hands_back = False  # what it runs, when only this worker is ended
        pruner = make_pruner(settings.pruner)
        self._prunes = can_prune(pruner)
        self._storage = storage = plan.connect(self._on_lost, total=crew and plan.n_trials)
        self._study = optuna.load_study(study_name=plan.study_name, storage=storage, pruner=pruner)
        self._study.sampler = _sampler_of(plan, self._study, len(slots), crew)
        self._tracking = worker.tracking or open_tracking(settings.tracking, folder)
        self._folder, self._name = folder, folder and folder.name
        self._health = Health(slots)
        self._runner = Runner(plan, self._tracking, worker.sweep_run, self._health)
        trials, beside = self._trials, {}
        if crew is not None:
            trials, beside = self._looked, {"look_s": crew.look_s, "timeout_s": crew.timeout_s}
        self._budget = Budget(settings, plan.n_trials, trials, **beside)
        self._display = Display(
            console,
            total=plan.n_trials,
            names=settings.names,
            n_slots=len(slots),
            n_done=len(settled(self._trials())),
        )
        self._tracking.tell(self._display.note)
        self._front = Front(self._study)
        self._suggesting = threading.Lock()
        self._next_heed = 0.0

    def run(self) -> Stop:
        """Runs the study's trials, a thread for each slot; says what ended the sweep."""
        with (
            self._display,
            handled_by(self._interrupt) if self._crew is None else self._tied(),
            ThreadPoolExecutor(len(self._slots), "slot") as threads,
        ):
            for served in [threads.submit(self._serve, slot) for slot in self._slots]:
                served.result()
        self._plan.slots = self._health.slots  # on one of them the best is evaluated
        stop = self._budget.stopped_by or EXHAUSTED
        if self._crew is not None:  # whoever started this has an outbox of its own
            in_all_s = HURRY_S if stop.field in AT_ONCE else math.inf
            flush(self._plan, self._tracking, self._folder, in_all_s=in_all_s)
            if stop.field in OF_ALL:
                tell_all(self._study, self._plan.holder, stop)
        self._storage.close()
        return stop

    @contextmanager
    def _tied(self) -> Iterator[None]:
        """Lets this worker end with its sweep while in this block."""
        over = threading.Event()
        thread = threading.Thread(target=self._look_after_the_sweep, args=[over], daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _look_after_the_sweep(self, over: threading.Event) -> None:
        while not over.wait(self._crew.look_s):
            with contextlib.suppress(*STORE_ERRORS):  # it may come back
                stop = why_to_end(self._plan, self._crew, self._study.user_attrs)
                if stop is not None:
                    # Another sweep may have the study by now; to the own one it is all the same
                    self._hands_back |= stop in (ORPHANED, GONE)
                    self._budget.stop(stop)
                    if stop.field in AT_ONCE:
                        self._runner.interrupt.set()

    def end_alone(self) -> None:
        """Ends this worker; what it runs others run again."""
        self._hands_back = True
        self._budget.stop(Stop("interrupt", INTERRUPTED, is_failure=True))
        self._runner.interrupt.set()

    def _serve(self, slot: Slot) -> None:
        """Lets one slot run trials for as long as the budget gives leave."""
        try:
            has_leave = self._budget.take()
            while has_leave:
                has_leave = self._optimize(slot)
        except Exception as error:
            says = f"the store failed: {why_it_failed(error)}"
            stop = Stop("storage", says, is_failure=True)
            self._budget.stop(stop)
            raise SearchError(f"hydra.sweeper.storage: {stop.says}") from error

    def _optimize(self, slot: Slot) -> bool:
        """Runs Optuna's loop; gives whether there is leave to run it again."""
        leave = partial(self._leave_a_failed_device, slot)
        try:
            self._study.optimize(
                partial(self._objective, slot),
                catch=(TrialFailedError,),
                # twice, as another share of it may tell while this slot waits for leave
                callbacks=[leave, self._stop_unless_there_is_leave, leave],
            )
            return False
        except SlotGone:
            return False
        except (TrialLost, AllTakenError):
            pass
        except Exception as error:
            if not _came_too_late(error):
                raise
        self._budget.give_back()
        return self._budget.take()

    def _stop_unless_there_is_leave(self, study: optuna.Study, trial: FrozenTrial) -> None:
        if self._prunes and trial.state is TrialState.COMPLETE and not trial.intermediate_values:
            self._prunes = False  # said once
            what = f"{self._settings.metric[0]} was not" if self._settings.metric else "nothing was"
            self._display.note(
                f"{what} reported by trial {trial.number}: the pruner cannot judge it"
            )
        if self._crew is None and time.monotonic() > self._next_heed:
            self._next_heed = time.monotonic() + LOOK_S
            self._heed_another_sweep()
        self._budget.give_back()
        if not self._budget.take():
            study.stop()

    def _leave_a_failed_device(self, slot: Slot, _study: optuna.Study, _trial: FrozenTrial) -> None:
        """Ends the slot whose device has failed, and with the last slot the sweep."""
        said = self._health.leave(slot)
        if said is None:
            return
        self._display.note(said)
        if (stop := self._health.stop) is not None:
            self._budget.stop(stop)
        self._budget.give_back()
        raise SlotGone

    def _objective(self, slot: Slot, trial: optuna.Trial) -> tuple[float, ...]:
        """Runs one trial and tells Optuna how it ended."""
        params, failed = {}, None
        if self._name is not None:
            trial.set_user_attr(WORKER, self._name)
        try:
            with self._suggesting:  # a sampler is not made for several threads
                params = self._plan.suggest(trial)
        except Exception as error:
            failed = replace(raised(error), again=False)  # with other values
        with self._display.trial(trial.number, slot.name, params) as shown:
            if failed is None:
                outcome = self._run(trial, params, slot, shown.progressed)
            else:
                outcome = self._runner.fail(trial, params, failed)
            if isinstance(outcome, Failed):
                outcome = self._heed_a_full_disk(outcome)
            stored = self._study._storage.get_trial(trial._trial_id)
            # Others take it for lost where this process was suspended and is not heard of
            is_lost = stored.state is not TrialState.RUNNING
            if is_lost:
                outcome = Failed(SILENT)
            else:
                self._runner.name_runs(trial)
            is_retried = not is_lost and self._retry(stored, outcome)
            shown.ended(
                outcome,
                best=self._is_best(stored, outcome),
                retry_of=trial.user_attrs.get(RETRY_OF),
                is_retried=is_retried,
            )
        if is_lost:
            self._close(trial, outcome)
            self._heed_another_sweep()
            raise TrialLost
        match outcome:
            case Completed(values):
                return values
            case Pruned(step):
                raise optuna.TrialPruned(f"at report {step}")
            case Failed(reason):
                trial.set_user_attr("reason", reason)
                raise TrialFailedError(reason)

    def _run(self, trial, params: dict[str, Value], slot: Slot, on_progress) -> Outcome:
        if self._settings.skip_duplicates and (twin := self._twin(params)) is not None:
            return self._runner.copy(trial, params, twin)
        outcome = self._runner.run(trial, params, slot, on_progress)
        if isinstance(outcome, Misfit) and not self._trials(TrialState.COMPLETE):
            self._budget.stop(Stop("function", outcome.reason, is_failure=True))
        return outcome

    def _is_best(self, trial: FrozenTrial, outcome: Outcome) -> bool:
        is_kept = isinstance(outcome, Completed) and is_feasible(trial)
        return is_kept and self._front.improves(outcome.values)

    def _twin(self, params: dict[str, Value]) -> FrozenTrial | None:
        """Gives a trial that has finished with the same values, None where there is none."""
        finished = self._trials(TrialState.COMPLETE, TrialState.PRUNED)
        return next((trial for trial in finished if trial.params == params), None)

    def _retry(self, trial: FrozenTrial, outcome: Outcome) -> bool:
        """Lets a failed trial's values wait to be tried again; says whether it does."""
        is_handed_back = self._hands_back and outcome == Failed(INTERRUPTED)
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

    def _heed_a_full_disk(self, outcome: Failed) -> Failed:
        """Ends the sweep where a trial had no room, as the next ones would have none either."""
        outcome = named(outcome)
        if says_full(outcome.reason):
            plan = self._plan
            says = with_more_room(outcome.reason, plan.places, plan.how_to_go_on)
            self._budget.stop(Stop("storage", says, is_failure=True))
        return outcome

    def _heed_another_sweep(self) -> None:
        """Ends this sweep where another one goes on with its study."""
        holder = Holder.read(self._study.user_attrs)
        if holder is None or holder.token != self._plan.holder.token:
            where = f" on the host {holder.host}" if holder else ""
            self._budget.stop(
                Stop(
                    "grace_period",
                    f"another sweep went on with {self._plan.study_name}{where}, as this one was "
                    f"not heard of for longer than {self._settings.grace_period} s",
                    is_failure=True,
                )
            )
            self._runner.interrupt.set()

    def _on_lost(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Lets a trial be run again that Optuna has failed; of each, one worker hears once."""
        run_again(study, trial)
        self._display.note(f"trial {trial.number} is lost: {SILENT}; it is run again")
        if self._crew is None:  # else its worker may have a word on the way that begins the run
            self._close(trial, Failed(SILENT))

    def _close(self, trial: optuna.Trial | FrozenTrial, outcome: Outcome) -> None:
        """Closes the run of a trial that others ended or ran."""
        if key := trial.user_attrs.get(RUN_KEY):
            self._tracking.run(key).end(outcome)

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=states or None)

    def _looked(self) -> list[FrozenTrial]:
        """Gives all trials; those whose worker is dead have failed by then."""
        fail_stale_trials(self._study)
        return self._trials()

    def _interrupt(self) -> None:
        """Ends the running trials; the next signal ends the program."""
        let_the_next_one_kill()
        self._budget.stop(Stop("interrupt", INTERRUPTED, is_failure=True))
        self._runner.interrupt.set()


def _sampler_of(plan: Plan, study: optuna.Study, n_slots: int, crew: Crew | None) -> BaseSampler:
    settings = plan.settings
    if plan.tries_all:
        return crew.points if crew else PointSampler(plan.known[: plan.n_trials], study)
    return make_sampler(
        settings.sampler,
        plan.space,
        seed=settings.seed,
        n_slots=n_slots * crew.size if crew else n_slots,
        is_extended=settings.is_extended,
        chance=crew and crew.chance,
    )


def _came_too_late(error: BaseException | None) -> bool:
    """Says whether Optuna was told of a trial just when others had taken it for lost.

    It raises one of these then, and an assertion that this cannot be.
    """
    if error is None:
        return False
    is_known = (
        isinstance(error, UpdateFinishedTrialError) or str(error) == "Cannot tell a FAIL trial."
    )
    return is_known or _came_too_late(error.__context__)

"""The trials that a worker runs: a thread for each of its slots, and who may end them."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import BaseSampler
from optuna.storages import fail_stale_trials
from optuna.trial import FrozenTrial
from rich.console import Console

from seqsweep.errors import SearchError
from seqsweep.outcome import Failed
from seqsweep.search.plan import Plan
from seqsweep.search.report.display import Display
from seqsweep.search.space.points import PointSampler
from seqsweep.search.study.past import SILENT, run_again
from seqsweep.search.study.store.base import LOOK_S, AllTakenError, why_it_failed
from seqsweep.search.study.study import make_pruner, make_sampler
from seqsweep.search.workers.budget import Budget
from seqsweep.search.workers.crew import ORPHANED, Crew, flush, tell_all, why_to_end
from seqsweep.search.workers.health import Health
from seqsweep.search.workers.looking import looking
from seqsweep.search.workers.objective import Objective, TrialFailedError, TrialLost
from seqsweep.search.workers.runner import Runner
from seqsweep.search.workers.slots import Slot
from seqsweep.search.workers.stops import INTERRUPT, Stop, settled
from seqsweep.tracking import HURRY_S, open_tracking

if TYPE_CHECKING:
    from seqsweep.search.workers.worker import Worker

EXHAUSTED = Stop("sampler", "the sampler has tried every point")
AT_ONCE = ("interrupt", "grace_period")  # stops that end what runs
# Stops that the other workers cannot see for themselves.
OF_ALL = ("function", "storage", "sampler")


class SlotGone(BaseException):
    """The device of a slot has failed, so the slot runs no more trials."""


class Session:
    """One call of a worker: its open study and tracking, and the threads of its slots."""

    def __init__(
        self, worker: Worker, slots: list[Slot], console: Console, folder: Path | None = None
    ) -> None:
        self._plan = plan = worker.plan
        settings = plan.settings
        self._crew = crew = worker.crew
        self._slots = slots
        pruner = make_pruner(settings.pruner)
        self._storage = storage = plan.connect(self._on_lost, total=crew and plan.n_trials)
        self._study = optuna.load_study(study_name=plan.study_name, storage=storage, pruner=pruner)
        self._study.sampler = _sampler_of(plan, self._study, len(slots), crew)
        self._tracking = worker.tracking or open_tracking(settings.tracking, folder)
        self._folder = folder
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
        self._objective = Objective(
            plan,
            self._study,
            self._runner,
            self._budget,
            self._display,
            worker=folder and folder.name,
        )

    def run(self) -> Stop:
        """Runs the study's trials, a thread for each slot; says what ended the sweep."""
        with (
            self._display,
            looking(self._look, every_s=self._crew.look_s if self._crew else LOOK_S),
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

    def interrupt(self, *, hands_back: bool = False) -> None:
        """Ends the session with what it runs, which others run again where it `hands_back`."""
        self._end(INTERRUPT, hands_back=hands_back)

    def _look(self) -> None:
        """Lets the session end with its sweep."""
        stop = why_to_end(self._plan, self._crew, self._study.user_attrs)
        if stop is None:
            return
        if stop.field in AT_ONCE:
            # Another sweep may have the study by now; to the own one it is all the same
            self._end(stop, hands_back=stop == ORPHANED or stop.field == "grace_period")
        else:
            self._budget.stop(stop)

    def _end(self, stop: Stop, *, hands_back: bool) -> None:
        self._runner.interrupt.set(hands_back=hands_back)
        self._storage.hurry()
        self._budget.stop(stop)  # last, as it may wait for who asks the store

    def _serve(self, slot: Slot) -> None:
        """Lets one slot run trials for as long as the budget gives leave."""
        try:
            has_leave = self._budget.take()
            while has_leave:
                has_leave = self._optimize(slot)
        except Exception as error:
            if self._budget.stopped_by == INTERRUPT:  # the next sweep finds what is not written
                return
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
        except TrialLost:
            self._look()  # another sweep may have taken it, with the study
        except AllTakenError:
            pass
        except Exception as error:
            if not _came_too_late(error):
                raise
        self._budget.give_back()
        return self._budget.take()

    def _stop_unless_there_is_leave(self, study: optuna.Study, _trial: FrozenTrial) -> None:
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

    def _on_lost(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Lets a trial be run again that Optuna has failed; of each, one worker hears once."""
        run_again(study, trial)
        self._display.note(f"trial {trial.number} is lost: {SILENT}; it is run again")
        if self._crew is None:  # else its worker may have a word on the way that begins the run
            self._runner.close(trial, Failed(SILENT))

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _looked(self) -> list[FrozenTrial]:
        """Gives all trials; those whose worker is dead have failed by then."""
        fail_stale_trials(self._study)
        return self._trials()


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

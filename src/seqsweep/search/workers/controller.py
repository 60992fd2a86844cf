"""The program that a user started, while workers in processes of their own run the trials."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Sequence

import optuna
from hydra.core.utils import JobReturn, JobStatus
from optuna.storages import fail_stale_trials
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console

from seqsweep.errors import SearchError, TrackingError, UserError, first_line
from seqsweep.outcome import Failed
from seqsweep.search.plan import Plan
from seqsweep.search.report.display import Display
from seqsweep.search.study.past import SILENT, WORKER, mend, outcome_of, reason_of, run_again
from seqsweep.search.study.records import RUN_KEY
from seqsweep.search.study.store.base import LOOK_S, STORE_ERRORS
from seqsweep.search.workers.crew import Crew, send_what_workers_left, tell_all, told
from seqsweep.search.workers.launcher import cancel, has_jobs, seen_by_workers
from seqsweep.search.workers.looking import looking
from seqsweep.search.workers.spectator import Spectator
from seqsweep.search.workers.stops import INTERRUPT, Stop, find_stop, settled
from seqsweep.signals import handled_by, let_the_next_one_kill
from seqsweep.tracking import HURRY_S, Tracking

MOST_LAUNCHES = 3  # in a row of which no trial comes to an end
LEAVE_S = 15.0  # in which workers that have nothing left to do end by themselves
QUIET = 3  # looks at a study that has no running trial, after which no worker is left

# Starts the workers and waits for them; gives what each of them came to.
Launch = Callable[[], Sequence[JobReturn]]


class Leave(BaseException):
    """Ends a launcher that waits for workers of which nothing is expected any more."""


class Controller:
    """Has workers started until the study has its trials; `sweep_run` is the key of its run."""

    def __init__(
        self, plan: Plan, crew: Crew, tracking: Tracking, sweep_run: str, console: Console
    ) -> None:
        self._plan, self._crew = plan, crew
        self._tracking, self._sweep_run = tracking, sweep_run
        self._storage = plan.connect(self._on_lost)
        self._study = optuna.load_study(study_name=plan.study_name, storage=self._storage)
        self._display = Display(
            console,
            total=plan.n_trials,
            names=plan.settings.names,
            n_slots=plan.n_slots,
            n_done=len(settled(self._trials())),
        )
        self._spectator = Spectator(self._display, self._study)
        self._tracking.tell(self._display.note)
        self._interrupted = threading.Event()
        self._is_launching = self._leaves = False
        self._over_since: float | None = None
        self._why = ""  # a worker ended before the study had its trials
        self._refusal: UserError | None = None  # or would not begin

    def run(self, launch: Launch) -> Stop:
        """Runs the study's trials; says what ended the sweep.

        Raises:
            UserError: no worker can run, or they end again and again before any trial does.
        """
        with self._display, handled_by(self._signalled), looking(self._look, every_s=LOOK_S):
            try:
                stop = self._launch_until_the_end(launch)
            except STORE_ERRORS:
                if not self._interrupted.is_set():
                    raise
                stop = INTERRUPT
            if self._refusal is not None:
                self._display.note(f"one worker did not run: {self._refusal}")
        self._close_runs(stop)
        self._storage.close()
        return stop

    def _launch_until_the_end(self, launch: Launch) -> Stop:
        in_vain = 0
        while (stop := self._stop()) is None:
            if self._refusal is not None or in_vain == MOST_LAUNCHES:
                raise self._refusal or self._in_vain()
            ended = len(settled(self._trials()))
            self._launch(launch)
            self._await_the_rest()
            in_vain = in_vain + 1 if len(settled(self._trials())) == ended else 0
        return stop

    def _launch(self, launch: Launch) -> None:
        """Starts the workers and waits until all, or the first of them to be lost, have ended."""
        jobs: Sequence[JobReturn] = []
        self._over_since = None
        try:
            self._is_launching = True
            with seen_by_workers():
                jobs = launch()
            self._is_launching = False
        except (Leave, KeyboardInterrupt):
            pass
        except SystemExit:  # which Ray raises at SIGTERM
            self._interrupted.set()
        except Exception as error:  # launchers raise what they like where a worker was killed
            self._hear(error)
        self._is_launching = False
        for job in jobs:
            if job.status is not JobStatus.COMPLETED:
                self._hear(job._return_value)
            elif job.return_value.is_failure:
                self._why = job.return_value.says

    def _hear(self, error: Exception) -> None:
        """Notes why a worker has ended; the others may have done its part."""
        if isinstance(error, UserError):
            self._refusal = error
        self._why = f"{type(error).__name__}: {first_line(error)}"

    def _await_the_rest(self) -> None:
        """Waits until no worker is left, then lets trials that were lost with theirs run again.

        Submitit gives up at the first job that was killed, also where others wait in the queue.
        """
        end, quiet = time.monotonic() + LEAVE_S + self._crew.look_s, 0
        while quiet < QUIET and not self._all_are_gone():
            if self._interrupted.is_set() and time.monotonic() > end:
                break
            time.sleep(LOOK_S)
            quiet = 0 if self._running() else quiet + 1
            if quiet == QUIET and self._stop() is None and has_jobs(self._plan.launcher):
                quiet = 0
        in_all_s = HURRY_S if self._interrupted.is_set() else self._plan.settings.tracking.wait
        send_what_workers_left(self._plan, in_all_s=in_all_s)
        if self._running() and not self._interrupted.is_set():
            mend(self._study, self._tracking, self._sweep_run)

    def _all_are_gone(self) -> bool:
        """Says whether nobody runs what seems to run, as the launcher has ended all workers."""
        launched = {str(number) for number in range(self._crew.size)}
        return self._plan.launcher.ends_all and all(
            trial.user_attrs.get(WORKER) in launched for trial in self._running()
        )

    def _stop(self) -> Stop | None:
        plan = self._plan
        if self._interrupted.is_set():
            return INTERRUPT
        known = told(self._study.user_attrs, plan.holder)
        stop = known or find_stop(plan.settings, plan.n_trials, settled(self._trials()))
        if stop is None and self._crew.timeout_s == 0.0:
            return Stop("timeout", f"{plan.settings.timeout:g} s are over")
        return stop

    def _in_vain(self) -> SearchError:
        return SearchError(
            f"hydra/launcher={self._plan.launcher.name}: the workers ended {MOST_LAUNCHES} times "
            f"before any trial did: {self._why or 'each ended by itself'}; what they said is in "
            f"{self._plan.folder / 'workers'}"
        )

    def _look(self) -> None:
        """Shows what is new, fails lost trials, and passes on that the sweep is over."""
        if self._interrupted.is_set():  # also where the store is away
            self._see_them_leave()
            tell_all(self._study, self._plan.holder, INTERRUPT)
        fail_stale_trials(self._study)
        self._spectator.look(self._trials())
        if self._stop() is not None and not self._running():
            self._see_them_leave()

    def _see_them_leave(self) -> None:
        """Gives the workers some time to end by themselves, then ends the launcher that waits."""
        if self._over_since is None:
            self._over_since = time.monotonic()
            cancel(self._plan.launcher, only_waiting=True)
        wait_s = LEAVE_S + self._crew.look_s
        if not self._interrupted.is_set():  # they still have records to send
            wait_s += self._plan.settings.tracking.wait
        if self._is_launching and time.monotonic() - self._over_since > wait_s:
            cancel(self._plan.launcher)
            self._leaves = True
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    def _signalled(self) -> None:
        """Ends the sweep, at the second signal this program at once."""
        if self._leaves:
            self._leaves = False
            if self._is_launching:
                raise Leave
            return  # the launcher has ended meanwhile
        if self._interrupted.is_set():
            let_the_next_one_kill()
            signal.raise_signal(signal.SIGTERM)
        self._interrupted.set()
        self._storage.hurry()

    def _on_lost(self, study: optuna.Study, trial: FrozenTrial) -> None:
        run_again(study, trial)

    def _close_runs(self, stop: Stop) -> None:
        """Closes the runs of trials whose worker could not."""
        with contextlib.suppress(TrackingError, *STORE_ERRORS):  # of one that is away others tell
            trials = self._trials()
            if stop != INTERRUPT:
                lost = [t for t in trials if reason_of(t) == SILENT and RUN_KEY in t.user_attrs]
                for key in (trial.user_attrs[RUN_KEY] for trial in lost):
                    if self._tracking.has(key):
                        self._tracking.run(key).end(Failed(SILENT))
            for run, number in self._tracking.running(self._sweep_run):
                run.end(outcome_of(trials[number]))

    def _running(self) -> list[FrozenTrial]:
        return [trial for trial in self._trials() if trial.state is TrialState.RUNNING]

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

"""A sweep from its first check to its report."""

from __future__ import annotations

import contextlib
import gc
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
from hydra.types import HydraContext
from omegaconf import DictConfig
from optuna.trial import TrialState
from rich.console import Console
from rich.markup import escape

from seqsweep.errors import TrackingError, UserError, reason
from seqsweep.outcome import EXIT_INTERRUPTED, INTERRUPTED, Completed, Failed, Outcome, Unconcluded
from seqsweep.process.result import raised
from seqsweep.search.dry_run import show_plan
from seqsweep.search.plan import Plan
from seqsweep.search.planning import make_plan
from seqsweep.search.report.announce import say_begin, say_where
from seqsweep.search.report.best import best_trials, evaluate_best, mark_best, once
from seqsweep.search.report.findings.found import Found
from seqsweep.search.report.findings.watch import Watch
from seqsweep.search.report.origin import with_origin
from seqsweep.search.report.results import (
    print_best,
    print_end,
    print_table,
    rows_of_a_screen,
    write_results,
)
from seqsweep.search.settings import Settings
from seqsweep.search.study.begin import begin, open_store
from seqsweep.search.study.holder import let_go
from seqsweep.search.study.past import ENDED_BY, SWEEP_RUN, mend
from seqsweep.search.study.records import RUN_KEY
from seqsweep.search.study.store.base import STORE_ERRORS, Store
from seqsweep.search.study.study import silence_optuna
from seqsweep.search.workers.attempt import results_of
from seqsweep.search.workers.crew import refusal_of_workers, send_what_workers_left, warm_up
from seqsweep.search.workers.launching import run_trials
from seqsweep.search.workers.room import MORE_ROOM, is_full, with_more_room
from seqsweep.search.workers.stops import Stop
from seqsweep.secrets import keep_out_of_logs
from seqsweep.signals import handled_by, heed_interrupt, interrupt
from seqsweep.terminal import Terminal
from seqsweep.tracking import (
    HURRY_S,
    Run,
    RunRecord,
    Tracking,
    new_key,
    open_tracking,
)


def run_or_exit(
    *,
    settings: dict[str, Any],
    arguments: list[str],
    hydra_context: HydraContext,
    task_function: Callable[[DictConfig], Any],
    config: DictConfig,
) -> None:
    """Runs a sweep; ends the program where no trial completed (1) or it was interrupted (130)."""
    silence_optuna()
    keep_out_of_logs()
    plan: Plan | None = None
    try:
        with handled_by(interrupt):
            read = Settings.read(settings)
            plan = make_plan(read, arguments, hydra_context, task_function, config)
            if read.dry_run:
                show_plan(Terminal(), plan)
                return
            code = run(plan, Terminal())
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = EXIT_INTERRUPTED
    except Exception as error:
        code = _told(error, plan, config)
    if code:
        # Hydra calls this only after a sweep that returns
        hydra_context.callbacks.on_multirun_end(config=config, config_name=None)
        sys.exit(code)


def _told(error: Exception, plan: Plan | None, config: DictConfig) -> str:
    """Gives the sentence on a user's mistake or a full disk; of anything else the traceback.

    Hydra would print that with the secrets in it.
    """
    is_of_the_disk = plan is not None and is_full(error)
    if not is_of_the_disk and not isinstance(error, UserError):
        return raised(error).traceback
    said = f"error: {with_origin(reason(error), config)}"
    if is_of_the_disk and MORE_ROOM not in said:
        return with_more_room(said, plan.places, plan.how_to_go_on)
    return said


def run(plan: Plan, console: Console) -> int:
    """Runs the planned sweep and reports it; gives the exit code.

    Raises:
        UserError: a store or a folder cannot be used.
    """
    storage = open_store(plan)
    if plan.launcher.is_basic:
        warm_up(plan, plan.folder)  # it imports TensorFlow while MLflow's store opens
    with plan.claim.given_back_on_error():
        tracking = open_tracking(plan.settings.tracking, plan.folder)
        if (unsent := tracking.flush(plan.settings.tracking.wait)) is not None:
            raise TrackingError(unsent)
        gc.freeze()  # all that is imported by now stays
        gc.enable()
        study = begin(plan, storage)
    sweep_run = _open_run(plan, study, tracking)
    stop: Stop | None = None
    outcome: Outcome = Failed("the sweep itself failed")
    try:
        heed_interrupt()
        again = 0
        if not plan.claim.is_new:
            send_what_workers_left(plan, in_all_s=plan.settings.tracking.wait)
            again = mend(study, tracking, sweep_run.key)
        say_begin(console, plan, study, again)
        stop, outcome = _search(plan, console, storage, study, tracking, sweep_run)
        if not isinstance(outcome, Completed):
            heed_interrupt()  # which may be why
    except KeyboardInterrupt:
        storage.hurry()
        outcome = Failed(INTERRUPTED)
    finally:
        is_ours = let_go(storage, study._study_id, plan.holder)
        if is_ours:
            sweep_run.end(outcome)
        unsent = _flush(plan, console, tracking, outcome, with_workers=is_ours)
    is_whole = unsent is None and not isinstance(outcome, Unconcluded)
    if is_ours and stop is not None and stop.ends_the_study and is_whole:
        study.set_user_attr(ENDED_BY, stop.field)
    missing = unsent or tracking.refusal() or refusal_of_workers(plan)
    say_where(console, plan, study, tracking)
    storage.close()
    why = None if isinstance(outcome, Completed) else outcome.reason
    for sentence in filter(None, (missing, why)):
        console.print(f"[red]{escape(sentence)}[/]", highlight=False, soft_wrap=True)
    if isinstance(outcome, Completed):
        return 1 if missing else 0
    if outcome != Failed(INTERRUPTED):
        return 1
    console.print(f"{plan.how_to_go_on} where this stood", highlight=False)
    return EXIT_INTERRUPTED


def _search(
    plan: Plan,
    console: Console,
    storage: Store,
    study: optuna.Study,
    tracking: Tracking,
    sweep_run: Run,
) -> tuple[Stop, Outcome]:
    """Runs the trials, then lets the best be evaluated; reports both."""
    found = Found(plan, study)
    with Watch(plan.folder, plan.settings.report_every, found.snapshot, sweep_run) as watch:
        with found.stopped_by_errors():
            found.stop = stop = run_trials(plan, console, study, sweep_run, tracking)
        if stop.says == INTERRUPTED:
            storage.hurry()
            with contextlib.suppress(*STORE_ERRORS):  # nobody waits for one that is away
                _conclude(plan, console, found, tracking, sweep_run)
            return stop, Failed(INTERRUPTED)
        watch.begin_last()
        outcome = _conclude(plan, console, found, tracking, sweep_run)
        if (problem := watch.end_last()) is not None:
            console.print(f"[yellow]{escape(problem)}[/]", highlight=False, soft_wrap=True)
    return stop, outcome


def _conclude(
    plan: Plan, console: Console, found: Found, tracking: Tracking, sweep_run: Run
) -> Outcome:
    """Reports the trials, and what the one look at the best gave."""
    names, study, stop = plan.settings.names, found.study, found.stop
    best, evaluated = best_trials(study), found.evaluated

    def write() -> Path:
        return write_results(plan.folder, best, stop, evaluated, n_objectives=len(names))

    write()
    print_table(console, study, best, names, most=rows_of_a_screen(console))
    print_end(console, study, stop)
    ended = Failed(stop.reason) if stop.is_failure else None
    if not best:
        ended = ended or Failed(_without_best(study))
    try:
        sweep_run.tag({"seqsweep.ended_by": stop.field})
        if best and len(names) == 1 and stop.ends_the_study:  # else another may come to be the best
            sweep_run.log(once(best[0], results_of(plan.settings, best[0].values)))
        for trial in best if ended is None else []:
            heed_interrupt()
            runs = [tracking.run(trial.user_attrs[RUN_KEY])]
            runs += [sweep_run] if len(names) == 1 else []
            evaluated[trial.number] = evaluate_best(plan, trial, tracking, *runs)
        if evaluated:
            mark_best(study, tracking, evaluated)
        heed_interrupt()
        sweep_run.add_file(write())
    except UserError as error:  # a store, or a model that cannot be evaluated
        ended = ended or Unconcluded(str(error))
    if best:
        print_best(console, best, names, evaluated)
    return ended or Completed(tuple(best[0].values))


def _without_best(study: optuna.Study) -> str:
    completed = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return "no completed trial keeps every constraint" if completed else "no trial completed"


def _open_run(plan: Plan, study: optuna.Study, tracking: Tracking) -> Run:
    """Opens the sweep's own run, the parent of its trials' runs, again where the study goes on."""
    known = study.user_attrs.get(SWEEP_RUN)
    if known is not None and tracking.has(known):
        return tracking.reopen(known)
    key = known or new_key()
    study.set_user_attr(SWEEP_RUN, key)
    run = tracking.start(_record(plan), key)
    run.add_text(plan.composed(), "sweep.yaml")
    return run


def _record(plan: Plan) -> RunRecord:
    params = {f"space.{p.name}": p.described for p in plan.space.parameters}
    params |= plan.described()
    tags = {**plan.tags(), "seqsweep.study": plan.study_name, "seqsweep.kind": "sweep"}
    return RunRecord(name=plan.study_name, params=params, tags=tags)


def _flush(
    plan: Plan, console: Console, tracking: Tracking, outcome: Outcome, *, with_workers: bool
) -> str | None:
    """Waits for the tracking store to have all records; gives a sentence where it has not.

    Those of the workers are another sweep's where that has the study by now.
    """

    def tell(sentence: str) -> None:
        console.print(f"[yellow]{escape(sentence)}[/]", highlight=False, soft_wrap=True)

    tracking.tell(tell)
    in_all_s = HURRY_S if outcome == Failed(INTERRUPTED) else math.inf
    unsent = tracking.flush(plan.settings.tracking.wait, in_all_s=in_all_s)
    if unsent is not None or not with_workers:
        return unsent
    return send_what_workers_left(plan, in_all_s=in_all_s)

"""A sweep from its first check to its report."""

from __future__ import annotations

import contextlib
import copy
import gc
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import optuna
from hydra._internal.callbacks import Callbacks
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict
from optuna.trial import TrialState
from rich.console import Console
from rich.markup import escape

from seqsweep.errors import TrackingError, UserError, reason
from seqsweep.outcome import EXIT_INTERRUPTED, INTERRUPTED, Completed, Failed, Outcome, Unconcluded
from seqsweep.process.result import raised
from seqsweep.record import counted
from seqsweep.search.dry_run import show_plan
from seqsweep.search.plan import Plan
from seqsweep.search.report.best import best_trials, evaluate_best, mark_best, model_run, once
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
from seqsweep.search.space.parameter import literal
from seqsweep.search.study.holder import let_go
from seqsweep.search.study.past import ENDED_BY, SWEEP_RUN, mend
from seqsweep.search.study.records import MODEL_ID, RUN_KEY
from seqsweep.search.study.store.base import STORE_ERRORS, Store
from seqsweep.search.study.store.opening import is_sqlite
from seqsweep.search.study.study import silence_optuna
from seqsweep.search.workers.attempt import results_of
from seqsweep.search.workers.controller import Controller
from seqsweep.search.workers.crew import Crew, refusal_of_workers, send_what_workers_left, warm_up
from seqsweep.search.workers.joining import kept
from seqsweep.search.workers.launcher import adapted, connect, hush, kept_private
from seqsweep.search.workers.room import MORE_ROOM, is_full, with_more_room
from seqsweep.search.workers.stops import Stop, settled
from seqsweep.search.workers.worker import Worker
from seqsweep.secrets import keep_out_of_logs
from seqsweep.signals import handled_by, heed_interrupt, interrupt
from seqsweep.terminal import Terminal
from seqsweep.tracking import (
    HURRY_S,
    Run,
    RunRecord,
    Tracking,
    how_to_see,
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
            plan = Plan.make(read, arguments, hydra_context, task_function, config)
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
    storage = plan.open_storage()
    if plan.launcher.is_basic:
        warm_up(plan, plan.folder)  # it imports TensorFlow while MLflow's store opens
    with plan.claim.given_back_on_error():
        tracking = open_tracking(plan.settings.tracking, plan.folder)
        if (unsent := tracking.flush(plan.settings.tracking.wait)) is not None:
            raise TrackingError(unsent)
        gc.freeze()  # all that is imported by now stays
        gc.enable()
        study = plan.begin(storage)
    sweep_run = _open_run(plan, study, tracking)
    stop: Stop | None = None
    outcome: Outcome = Failed("the sweep itself failed")
    try:
        heed_interrupt()
        again = 0
        if not plan.claim.is_new:
            send_what_workers_left(plan, in_all_s=plan.settings.tracking.wait)
            again = mend(study, tracking, sweep_run.key)
        _say_begin(console, plan, study, again)
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
    _say_where(console, plan, study, tracking)
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
            found.stop = stop = _launch(plan, console, study, sweep_run, tracking)
        is_in_a_hurry = stop.says == INTERRUPTED
        if is_in_a_hurry:
            storage.hurry()
        else:
            watch.begin_last()
        try:
            outcome = _conclude(plan, console, found, tracking, sweep_run)
        except STORE_ERRORS:
            if not is_in_a_hurry:
                raise
            outcome = Failed(INTERRUPTED)
        if not is_in_a_hurry and (problem := watch.end_last()) is not None:
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


def _launch(
    plan: Plan, console: Console, study: optuna.Study, sweep_run: Run, tracking: Tracking
) -> Stop:
    """Runs the trials by workers, which the configured launcher starts; says what ended them."""
    if plan.launcher.is_basic:
        (job,) = _launched(plan, Worker(plan, sweep_run.key, tracking), 1)
        if job.status is not JobStatus.COMPLETED:
            raise job._return_value  # the property would print a line of its own
        return job.return_value
    if (unsent := tracking.flush(plan.settings.tracking.wait)) is not None:
        raise TrackingError(unsent)  # the trials' runs belong below that of the sweep
    plan.jobs.fix_folder()
    crew = Crew.of(plan, study)
    worker = Worker(plan, sweep_run.key, crew=crew)
    controller = Controller(plan, crew, tracking, sweep_run.key, console)
    with kept(worker), kept_private(plan.jobs.master, plan.folder):
        stop = controller.run(lambda: _launched(plan, worker, crew.size))
    if stop.says != INTERRUPTED:
        warm_up(plan, plan.folder)  # for the look at the best
    return stop


def _launched(plan: Plan, worker: Worker, count: int) -> Sequence[JobReturn]:
    """Starts so many workers and waits for them; gives what they came to."""
    overrides = [
        *plan.space.fixed,
        f"hydra.sweep.dir={literal(str(plan.folder))}",
        "hydra.output_subdir=null",  # the worker's config says nothing new, and holds secrets
        "hydra.job.chdir=false",
    ]
    launcher = Plugins.instance().instantiate_launcher(
        # callbacks are for trials: each fires them in its own process
        hydra_context=HydraContext(plan.jobs.hydra_context.config_loader, Callbacks()),
        task_function=worker,
        config=adapted(_quiet(plan.jobs.master), count),
    )
    hush(plan.launcher)
    connect(plan.launcher, plan.jobs.master)
    jobs = [[*overrides, f"hydra.sweep.subdir=workers/{number}"] for number in range(count)]
    return launcher.launch(jobs, initial_job_idx=0)


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


def _quiet(master: DictConfig) -> DictConfig:
    """Gives a config by which the launcher does not tell of its one job, the worker."""
    config = copy.deepcopy(master)
    root = config.hydra.hydra_logging.get("root")
    with open_dict(config):
        config.hydra.verbose = False
        if root is not None:
            root.level = "WARNING"
    return config


def _say_begin(console: Console, plan: Plan, study: optuna.Study, again: int) -> None:
    if plan.note:
        console.print(f"[yellow]{escape(plan.note)}[/]", highlight=False, soft_wrap=True)
    if not plan.launcher.is_local and is_sqlite(plan.storage):
        console.print(
            "[yellow]the store is an SQLite file: workers on other hosts than this one will refuse "
            "to run; give hydra.sweeper.storage the URL of a server, as PostgreSQL's, or "
            "journal:////FOLDER/studies.journal in a folder that all see[/]",
            highlight=False,
            soft_wrap=True,
        )
    trials = "trials until the time is over"
    if plan.n_trials is not None:
        trials = counted(plan.n_trials, "trial")
    if plan.n_trials is not None and plan.n_trials < len(plan.known):
        trials += f" of the {len(plan.known)} points"
    if plan.settings.repeats > 1:
        trials += f", each under {plan.settings.repeats} seeds,"
    if not plan.claim.is_new:
        ended = len(settled(study.get_trials(deepcopy=False)))
        trials += f", of which {ended} have ended and {again} run again,"
    goes_on = "" if plan.claim.is_new else " goes on"
    console.print(
        f"Sweep [bold]{escape(plan.study_name)}[/]{goes_on}: {trials} on {_runners(plan)}",
        highlight=False,
    )


def _runners(plan: Plan) -> str:
    """Says what runs the trials."""
    if not plan.launcher.is_basic:
        return f"{counted(plan.settings.n_workers, 'worker')} ({plan.launcher.name})"
    return f"{counted(len(plan.slots), 'slot')} ({', '.join(slot.name for slot in plan.slots)})"


def _say_where(console: Console, plan: Plan, study: optuna.Study, tracking: Tracking) -> None:
    lines = ["", f"jobs    {plan.folder}"]
    with contextlib.suppress(*STORE_ERRORS):  # of a store that is away others tell
        lines += _models(plan, study, tracking)
    for line in [*lines, *how_to_see(tracking)]:
        console.print(escape(line), highlight=False, soft_wrap=True)


def _models(plan: Plan, study: optuna.Study, tracking: Tracking) -> list[str]:
    """Says where the models of the best trials are."""
    runs = [(trial, model_run(tracking, trial)) for trial in best_trials(study)]
    models = [trial.user_attrs.get(MODEL_ID) or run.model_id for trial, run in runs]
    if models and len(plan.settings.direction) > 1:
        return ["models  of the front: in the runs with the tag seqsweep.best"]
    if not models or not models[0]:
        return []
    registered = [f"        {said}" for _, run in runs if (said := run.registered)]
    return [f"model   models:/{models[0]}", *registered]

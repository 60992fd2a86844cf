"""A sweep from its first check to its report."""

from __future__ import annotations

import sys
from collections.abc import Callable
from multiprocessing import forkserver
from typing import Any

import optuna
from hydra._internal.callbacks import Callbacks
from hydra.core.plugins import Plugins
from hydra.core.utils import JobStatus
from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict
from rich.console import Console
from rich.markup import escape

from seqsweep.errors import UserError
from seqsweep.outcome import Completed, Failed, Outcome
from seqsweep.process.messages import Point
from seqsweep.process.parent import preload
from seqsweep.search.best import best_trial, evaluate_best
from seqsweep.search.plan import Plan
from seqsweep.search.report import print_best, print_table, write_results
from seqsweep.search.settings import Settings
from seqsweep.search.space import literal
from seqsweep.search.study import silence_optuna
from seqsweep.search.worker import INTERRUPTED, Worker
from seqsweep.tracking import Run, RunRecord, Tracking, how_to_see, open_tracking

EXIT_INTERRUPTED = 130


def run_or_exit(
    *,
    settings: dict[str, Any],
    arguments: list[str],
    hydra_context: HydraContext,
    task_function: Callable[[DictConfig], Any],
    config: DictConfig,
) -> None:
    """Runs a sweep; ends the program where no trial completed (1) or it was interrupted (130)."""
    try:
        read = Settings.read(settings)
        code = run(Plan.make(read, arguments, hydra_context, task_function, config), Console())
    except UserError as error:
        sys.exit(f"error: {error}")
    if code:
        sys.exit(code)


def run(plan: Plan, console: Console) -> int:
    """Runs the planned sweep and reports it; gives the exit code.

    Raises:
        UserError: a store or a folder cannot be used.
    """
    silence_optuna()
    study = plan.begin()
    preload(plan.settings.preload)
    forkserver.ensure_running()  # it imports TensorFlow while MLflow's store opens
    tracking = open_tracking(plan.settings.tracking)
    sweep_run = _start_run(plan, tracking)
    _say_begin(console, plan)
    outcome: Outcome = Failed("the sweep itself failed")
    best, evaluated = None, {}
    try:
        went_through = _launch(plan, sweep_run)
        best = best_trial(study)
        outcome = _outcome(best, went_through=went_through)
        if best is not None and went_through:
            own_run = tracking.run(best.user_attrs["mlflow_run_id"])
            evaluated = evaluate_best(plan, best, own_run, sweep_run)
            sweep_run.log([Point(plan.result, best.value, 0)])
    finally:
        sweep_run.end(outcome)
    write_results(plan.folder, best, evaluated)
    _say_end(console, plan, study, tracking, evaluated)
    if outcome == Failed(INTERRUPTED):
        return EXIT_INTERRUPTED
    return 0 if isinstance(outcome, Completed) else 1


def _outcome(best: optuna.trial.FrozenTrial | None, *, went_through: bool) -> Outcome:
    if not went_through:
        return Failed(INTERRUPTED)
    if best is None:
        return Failed("no trial completed")
    return Completed(tuple(best.values))


def _start_run(plan: Plan, tracking: Tracking) -> Run:
    """Opens the sweep's own run, the parent of its trials' runs."""
    searched = {f"space.{p.key}": p.text.partition("=")[2] for p in plan.space.parameters}
    targets = {role: getattr(plan.settings, role)["_target_"] for role in ("sampler", "pruner")}
    counts = {"n_trials": str(plan.n_trials), "slots": str(len(plan.slots()))}
    tags = {**plan.tags(), "seqsweep.study": plan.study_name, "seqsweep.kind": "sweep"}
    run = tracking.start(
        RunRecord(name=plan.study_name, params={**targets, **counts, **searched}, tags=tags)
    )
    return run


def _launch(plan: Plan, sweep_run: Run) -> bool:
    """Starts a worker through the configured launcher; gives False where it was interrupted."""
    overrides = [
        *plan.space.fixed,
        f"hydra.sweep.dir={literal(str(plan.folder))}",
        "hydra.sweep.subdir=workers/0",
        "hydra.job.chdir=false",
    ]
    with open_dict(plan.master):  # the launcher's own lines would tell of one job, the worker
        plan.master.hydra.hydra_logging.root.level = "WARNING"
    launcher = Plugins.instance().instantiate_launcher(
        # callbacks are for trials: each fires them in its own process
        hydra_context=HydraContext(plan.hydra_context.config_loader, Callbacks()),
        task_function=Worker(plan, sweep_run.id),
        config=plan.master,
    )
    (job,) = launcher.launch([overrides], initial_job_idx=0)
    if job.status is not JobStatus.COMPLETED:
        raise job._return_value  # the property would print a line of its own
    return job.return_value


def _say_begin(console: Console, plan: Plan) -> None:
    slots = plan.slots()
    console.print(
        f"Sweep [bold]{escape(plan.study_name)}[/]: {plan.n_trials} trials on {len(slots)} "
        f"{'slot' if len(slots) == 1 else 'slots'} ({', '.join(slot.name for slot in slots)})",
        highlight=False,
    )


def _say_end(
    console: Console,
    plan: Plan,
    study: optuna.Study,
    tracking: Tracking,
    evaluated: dict[str, float],
) -> None:
    best = best_trial(study)
    print_table(console, study, best, plan.metric)
    lines = [f"jobs    {plan.folder}"]
    if best is not None:
        print_best(console, best, plan.metric, evaluated)
        if model_id := best.user_attrs.get("mlflow_model_id"):
            lines.append(f"model   models:/{model_id}")
    lines += how_to_see(tracking)
    console.print()
    for line in lines:
        console.print(escape(line), highlight=False, soft_wrap=True)

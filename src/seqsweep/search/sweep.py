"""A sweep from its first check to its report."""

from __future__ import annotations

import copy
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

from seqsweep.errors import SearchError, UserError
from seqsweep.outcome import EXIT_INTERRUPTED, INTERRUPTED, Completed, Failed, Outcome
from seqsweep.process.messages import OBJECTIVE, Point
from seqsweep.process.parent import preload
from seqsweep.search.best import best_trial, evaluate_best
from seqsweep.search.plan import Plan
from seqsweep.search.report import print_best, print_table, write_results
from seqsweep.search.settings import Settings
from seqsweep.search.space import literal
from seqsweep.search.study import silence_optuna
from seqsweep.search.worker import Worker
from seqsweep.signals import handled_by, heed_interrupt, interrupt
from seqsweep.terminal import Terminal
from seqsweep.tracking import Run, RunRecord, Tracking, how_to_see, open_tracking


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
    try:
        with handled_by(interrupt):
            read = Settings.read(settings)
            plan = Plan.make(read, arguments, hydra_context, task_function, config)
            code = run(plan, Terminal())
    except UserError as error:
        code = f"error: {error}"
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = EXIT_INTERRUPTED
    if code:
        # Hydra calls this only after a sweep that returns
        hydra_context.callbacks.on_multirun_end(config=config, config_name=None)
        sys.exit(code)


def run(plan: Plan, console: Console) -> int:
    """Runs the planned sweep and reports it; gives the exit code.

    Raises:
        UserError: a store or a folder cannot be used.
    """
    storage = plan.open_storage()
    preload(plan.settings.preload)
    forkserver.ensure_running()  # it imports TensorFlow while MLflow's store opens
    with plan.given_back_on_error():
        tracking = open_tracking(plan.settings.tracking)
        study = plan.begin(storage)
    sweep_run = _start_run(plan, tracking)
    outcome: Outcome = Failed("the sweep itself failed")
    try:
        heed_interrupt()
        _say_begin(console, plan)
        outcome = _search(plan, console, study, tracking, sweep_run)
        if not isinstance(outcome, Completed):
            heed_interrupt()  # which may be why
    except KeyboardInterrupt:
        outcome = Failed(INTERRUPTED)
    finally:
        sweep_run.end(outcome)
    _say_where(console, plan, study, tracking)
    if isinstance(outcome, Completed):
        return 0
    console.print(f"[red]{escape(outcome.reason)}[/]", highlight=False)
    return EXIT_INTERRUPTED if outcome == Failed(INTERRUPTED) else 1


def _search(
    plan: Plan, console: Console, study: optuna.Study, tracking: Tracking, sweep_run: Run
) -> Outcome:
    """Runs the trials, then lets the best one be evaluated; reports both."""
    went_through = _launch(plan, sweep_run)
    best = best_trial(study)
    write_results(plan.folder, best, {})
    print_table(console, study, best, plan.metric)
    if best is None:
        return Failed("no trial completed" if went_through else INTERRUPTED)
    sweep_run.log([Point(OBJECTIVE, best.value, 0)])
    if not went_through:
        print_best(console, best, plan.metric, {})
        return Failed(INTERRUPTED)
    heed_interrupt()
    try:
        evaluated = evaluate_best(plan, best, _run_of(best, tracking), sweep_run)
    except SearchError as error:
        print_best(console, best, plan.metric, {})
        return Failed(str(error))
    heed_interrupt()
    write_results(plan.folder, best, evaluated)
    print_best(console, best, plan.metric, evaluated)
    return Completed(tuple(best.values))


def _run_of(trial: optuna.trial.FrozenTrial, tracking: Tracking) -> Run:
    return tracking.run(trial.user_attrs["mlflow_run_id"])


def _start_run(plan: Plan, tracking: Tracking) -> Run:
    """Opens the sweep's own run, the parent of its trials' runs."""
    searched = {f"space.{p.name}": p.text.partition("=")[2] for p in plan.space.parameters}
    targets = {role: getattr(plan.settings, role)["_target_"] for role in ("sampler", "pruner")}
    counts = {"n_trials": str(plan.n_trials), "slots": str(len(plan.slots()))}
    tags = {**plan.tags(), "seqsweep.study": plan.study_name, "seqsweep.kind": "sweep"}
    return tracking.start(
        RunRecord(name=plan.study_name, params={**targets, **counts, **searched}, tags=tags)
    )


def _launch(plan: Plan, sweep_run: Run) -> bool:
    """Starts a worker through the configured launcher; gives False where it was interrupted."""
    overrides = [
        *plan.space.fixed,
        f"hydra.sweep.dir={literal(str(plan.folder))}",
        "hydra.sweep.subdir=workers/0",
        "hydra.job.chdir=false",
    ]
    launcher = Plugins.instance().instantiate_launcher(
        # callbacks are for trials: each fires them in its own process
        hydra_context=HydraContext(plan.hydra_context.config_loader, Callbacks()),
        task_function=Worker(plan, sweep_run.id),
        config=_quiet(plan.master),
    )
    (job,) = launcher.launch([overrides], initial_job_idx=0)
    if job.status is not JobStatus.COMPLETED:
        raise job._return_value  # the property would print a line of its own
    return job.return_value


def _quiet(master: DictConfig) -> DictConfig:
    """Gives a config by which the launcher does not tell of its one job, the worker."""
    config = copy.deepcopy(master)
    root = config.hydra.hydra_logging.get("root")
    if root is not None:
        with open_dict(config):
            root.level = "WARNING"
    return config


def _say_begin(console: Console, plan: Plan) -> None:
    console.print(
        f"Sweep [bold]{escape(plan.study_name)}[/]: {_count(plan.n_trials, 'trial')} on "
        f"{_count(len(plan.slots()), 'slot')} ({', '.join(slot.name for slot in plan.slots())})",
        highlight=False,
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _say_where(console: Console, plan: Plan, study: optuna.Study, tracking: Tracking) -> None:
    best = best_trial(study)
    model_id = best.user_attrs.get("mlflow_model_id") if best else None
    lines = ["", f"jobs    {plan.folder}"]
    if model_id:
        lines.append(f"model   models:/{model_id}")
    for line in [*lines, *how_to_see(tracking)]:
        console.print(escape(line), highlight=False, soft_wrap=True)

"""Starts the workers of a sweep by the configured launcher, and waits for what ends them."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import optuna
from hydra._internal.callbacks import Callbacks
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict
from rich.console import Console

from seqsweep.errors import TrackingError
from seqsweep.outcome import INTERRUPTED
from seqsweep.search.plan import Plan
from seqsweep.search.space.parameter import literal
from seqsweep.search.workers.controller import Controller
from seqsweep.search.workers.crew import Crew, warm_up
from seqsweep.search.workers.joining import kept
from seqsweep.search.workers.launcher import adapted, connect, hush, kept_private
from seqsweep.search.workers.stops import Stop
from seqsweep.search.workers.worker import Worker
from seqsweep.tracking import Run, Tracking


def run_trials(
    plan: Plan, console: Console, study: optuna.Study, sweep_run: Run, tracking: Tracking
) -> Stop:
    """Runs the trials by workers, which the configured launcher starts; says what ended them.

    Raises:
        UserError: a store cannot be used, or no worker can run.
    """
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


def _quiet(master: DictConfig) -> DictConfig:
    """Gives a config by which the launcher does not tell of its one job, the worker."""
    config = copy.deepcopy(master)
    root = config.hydra.hydra_logging.get("root")
    with open_dict(config):
        config.hydra.verbose = False
        if root is not None:
            root.level = "WARNING"
    return config

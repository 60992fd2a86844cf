"""What a sweep says of itself first, and last: what it is to do, and where all that is."""

from __future__ import annotations

import contextlib

import optuna
from rich.console import Console
from rich.markup import escape

from seqsweep.record import counted
from seqsweep.search.plan import Plan
from seqsweep.search.report.best import best_trials, model_run
from seqsweep.search.study.records import MODEL_ID
from seqsweep.search.study.store.base import STORE_ERRORS
from seqsweep.search.study.store.opening import is_sqlite
from seqsweep.search.workers.stops import settled
from seqsweep.tracking import Tracking, how_to_see


def say_begin(console: Console, plan: Plan, study: optuna.Study, again: int) -> None:
    """Says what begins, or goes on with `again` trials that were interrupted."""
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


def say_where(console: Console, plan: Plan, study: optuna.Study, tracking: Tracking) -> None:
    """Says where jobs, models and runs are."""
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

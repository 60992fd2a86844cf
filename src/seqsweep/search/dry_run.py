"""What a sweep would do, shown without training, and without making a store or a folder."""

from __future__ import annotations

import statistics

from optuna.storages import BaseStorage
from optuna.trial import TrialState
from rich.console import Console
from rich.table import Table

from seqsweep.record import counted, duration
from seqsweep.search.plan import Plan
from seqsweep.search.report.origin import question
from seqsweep.search.study.past import find, search_of
from seqsweep.search.study.reading import open_for_reading
from seqsweep.search.study.store.base import NoStudiesError
from seqsweep.search.study.study import last_number
from seqsweep.secrets import masked
from seqsweep.stores import file_of_studies
from seqsweep.tracking import place_of


def show_plan(console: Console, plan: Plan) -> None:
    """Prints what would be searched, where it would be kept and about how long it would take.

    Raises:
        UserError: the store of studies is there and cannot be read.
    """
    storage = _storage(plan)
    rows = {
        "question": question(plan.jobs.master),
        "study": _study(plan, storage),
        "trials": _trials(plan),
        "space": "\n".join(f"{p.name}  {p.described}" for p in plan.space.parameters),
        **{name: value for name, value in plan.described().items() if name != "n_trials"},
        "slots": _slots(plan),
        "studies": masked(plan.settings.storage or "optuna.db in the folder of the jobs"),
        "runs": place_of(plan.settings.tracking),
        "jobs": str(plan.folder),
        "time": _time(plan, storage),
    }
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in rows.items():
        if value:
            table.add_row(f"[bold]{name}[/]", _plain(value))
    console.print(table)
    console.print("Nothing was trained, and nothing written: this was hydra.sweeper.dry_run=true")


def _plain(text: str) -> str:
    return text.replace("[", r"\[")


def _storage(plan: Plan) -> BaseStorage | None:
    """Opens the store of studies where there is one."""
    place = plan.settings.storage or str(plan.folder / "optuna.db")
    file = file_of_studies(place)
    if file is not None and not file.is_file():
        return None
    try:
        return open_for_reading(place)
    except NoStudiesError:
        return None


def _study(plan: Plan, storage: BaseStorage | None) -> str:
    claim = plan.claim
    past = storage and find(storage, claim.base, claim.given_name)
    may_go_on = past and not plan.settings.fresh and (claim.given_name or not past.is_finished)
    if may_go_on and not past.difference(search_of(plan.jobs)):
        plan.jobs.call_study(past.name)
        return f"{past.name}, which goes on where it stands"
    number = last_number(storage, claim.base) + 1 if storage else 1
    plan.jobs.call_study(claim.given_name or f"{claim.base}-{number}")
    return f"{plan.study_name}, a new one"


def _trials(plan: Plan) -> str:
    settings = plan.settings
    trials = "until a stop" if plan.n_trials is None else counted(plan.n_trials, "trial")
    return trials + (f", each under {settings.repeats} seeds" if settings.repeats > 1 else "")


def _slots(plan: Plan) -> str:
    if plan.launcher.is_local:
        return f"{len(plan.slots)}: {', '.join(slot.name for slot in plan.slots)}"
    n_jobs = plan.settings.n_jobs
    each = "as many as it finds devices" if n_jobs == "auto" else str(n_jobs)
    return f"of each worker, where it runs: {each}"


def _time(plan: Plan, storage: BaseStorage | None) -> str:
    """Says how long it would take, by the last sweep of that name that has trained."""
    before = _seconds_a_trial(plan, storage) if storage else None
    if before is None:
        return "not known: no sweep of this name has trained here before"
    name, seconds = before
    limit = plan.settings.timeout
    if plan.n_trials is None:
        return f"at most {duration(limit)}" if limit else "until a stop"
    whole = seconds * plan.n_trials / plan.n_slots
    said = f"about {duration(min(whole, limit or whole))} of training"
    if not plan.launcher.is_local and plan.settings.n_jobs == "auto":
        said += " with a slot for each worker"
    return f"{said}, as a trial of {name} took {seconds:.1f} s on average"


def _seconds_a_trial(plan: Plan, storage: BaseStorage) -> tuple[str, float] | None:
    base = plan.claim.base
    studies = [s for s in storage.get_all_studies() if s.study_name.rpartition("-")[0] == base]
    for study in sorted(studies, key=lambda s: s._study_id, reverse=True):
        states = (TrialState.COMPLETE, TrialState.PRUNED)
        trials = storage.get_all_trials(study._study_id, deepcopy=False, states=states)
        if times := [t.duration.total_seconds() for t in trials if t.duration]:
            return study.study_name, statistics.mean(times)
    return None

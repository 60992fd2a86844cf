"""Studies of earlier sweeps: which one goes on, and what a sweep that was ended left behind."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import distribution_to_json
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from seqsweep.outcome import INTERRUPTED, Completed, Failed, Outcome, Pruned
from seqsweep.record import flatten, visible
from seqsweep.search.study.claim import has_run_in
from seqsweep.search.study.holder import Holder
from seqsweep.search.study.records import RUN_KEY, record_of, searched
from seqsweep.search.study.store.base import Store
from seqsweep.search.study.study import last_number
from seqsweep.search.workers.jobs import Jobs
from seqsweep.search.workers.room import says_full
from seqsweep.search.workers.stops import RETRY_OF, retried_numbers
from seqsweep.secrets import masked_values
from seqsweep.tracking import Tracking, new_key

# Attributes of a study.
ENDED_BY = "seqsweep:ended_by"
SEARCH = "seqsweep:search"
FOLDER = "seqsweep:folder"
SWEEP_RUN = "seqsweep:run_key"
N_TRIALS = "seqsweep:n_trials"  # how many trials are to end, None for as many as the time allows

TRIES = "tries"  # a trial's attribute: how often its values have been tried, with this time
WORKER = "worker"  # and which of several workers runs it: the name of its folder

LOST = "the sweep was ended while this trial ran"
SILENT = "its worker was not heard of any more"
# Top-level keys of a config that say where trials run and are recorded, not what comes out.
ELSEWHERE = ("tracking", "devices")


def search_of(jobs: Jobs) -> dict[str, str]:
    """Gives what makes two sweeps the same search: space, objectives and all else of the config."""
    settings, space = jobs.settings, jobs.space
    parameters = {
        f"params.{p.name}": distribution_to_json(p.distribution) + p.condition
        for p in space.parameters
    }
    fields = ("direction", "metric", "custom_search_space", "repeats", "seed_key")
    chosen = {f"hydra.sweeper.{name}": str(getattr(settings, name)) for name in fields}
    chosen["hydra.sweeper.constraints"] = ", ".join(c.text for c in settings.constraints)
    hidden = [*settings.tracking.hidden, *ELSEWHERE]
    return {**flatten(visible(jobs.base, hidden)), **chosen, **parameters}


def difference(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """Writes in what two searches differ, with both values of each key."""
    keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    before, now = (masked_values({key: of.get(key, "none") for key in keys}) for of in (old, new))
    return "; ".join(f"{key}: {before[key]} then, {now[key]} now" for key in keys)


@dataclass(frozen=True)
class Past:
    """A study of an earlier sweep."""

    name: str
    study_id: int
    attributes: Mapping[str, Any]

    @property
    def is_finished(self) -> bool:
        """Whether its sweep came to an end of its own."""
        return ENDED_BY in self.attributes

    @property
    def folder(self) -> Path | None:
        """Where its jobs have run."""
        folder = self.attributes.get(FOLDER)
        return Path(folder) if folder else None

    @property
    def holder(self) -> Holder | None:
        """Which sweep runs it, or did when it was killed."""
        return Holder.read(self.attributes)

    @property
    def has_begun(self) -> bool:
        """Whether its sweep came to write down what it searches; Optuna's own studies have not."""
        return SEARCH in self.attributes or FOLDER not in self.attributes

    def difference(self, search: Mapping[str, str]) -> str:
        """Says in what it searched otherwise; empty where it did not."""
        if not self.has_begun:
            return ""
        return difference(self.attributes.get(SEARCH, {}), search)


def find(storage: BaseStorage, base: str, given_name: str | None) -> Past | None:
    """Gives the study of the given name, or the last of those named `base-n`."""
    studies = {study.study_name: study for study in storage.get_all_studies()}
    name = given_name or f"{base}-{last_number(storage, base)}"
    if name not in studies:
        return None
    study_id = studies[name]._study_id
    return Past(name, study_id, storage.get_study_user_attrs(study_id))


def runs_elsewhere(past: Past, storage: Store) -> str:
    """Says where another host runs the study; empty where none does.

    On the host that ran it last, the lock on its folder says more, and at once.
    """
    holder = past.holder
    if holder is None or (holder.is_of_this_host and past.folder and has_run_in(past.folder)):
        return ""
    silence_s = holder.silence_s(storage, past.study_id)
    left_s = math.ceil(holder.grace_period - silence_s)
    if left_s <= 0:
        return ""
    return (
        f"on the host {holder.host}, which was heard of {silence_s:.0f} s ago; should it have "
        f"died, wait {left_s} s"
    )


def mend(study: optuna.Study, tracking: Tracking, sweep: str) -> int:
    """Brings trials that nobody runs, and their runs, to an end; gives how many are run again.

    A trial that was interrupted, had no room on the disk, or ran when its sweep was killed, is no
    failure of its own: its values wait to be run again, whatever `max_retries` says. `sweep` is the
    key of the sweep's run.
    """
    trials = study.get_trials(deepcopy=False)
    retried = retried_numbers(trials)
    again = sum(t.state is TrialState.WAITING and RETRY_OF in t.user_attrs for t in trials)
    for trial in trials:
        is_retried = trial.number in retried
        if trial.state is TrialState.RUNNING:
            _fail(study, trial, tracking, sweep)
        elif is_due_again(trial) and not is_retried:
            if key := trial.user_attrs.get(RUN_KEY):  # its run may have ended otherwise
                tracking.run(key).end(outcome_of(trial))
        else:
            continue
        if not is_retried:
            run_again(study, trial)
            again += 1
    for run, number in tracking.running(sweep):
        run.end(outcome_of(trials[number]))
    return again


def reason_of(trial: FrozenTrial) -> str | None:
    """Gives why the trial failed, None where it did not.

    Only Optuna itself fails a trial without a word, and a trial that has ended takes none any more.
    """
    if trial.state is not TrialState.FAIL:
        return None
    return trial.user_attrs.get("reason", SILENT)


def is_due_again(trial: FrozenTrial) -> bool:
    """Says whether a trial failed for no fault of its own: its sweep was ended, or had no room."""
    why = reason_of(trial)
    return why is not None and (why in (INTERRUPTED, LOST, SILENT) or says_full(why))


def run_again(study: optuna.Study, trial: FrozenTrial, tries: int | None = None) -> None:
    """Lets the values of a trial wait to be run again; once for each.

    `tries` counts with the new one. Without it the trial's own count stays: it did not fail itself.
    """
    values = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
    tries = trial.user_attrs.get(TRIES, 1) if tries is None else tries
    study.enqueue_trial(values, user_attrs={RETRY_OF: trial.number, TRIES: tries})


def _fail(study: optuna.Study, trial: FrozenTrial, tracking: Tracking, sweep: str) -> None:
    live = Trial(study, trial._trial_id)
    live.set_user_attr("reason", LOST)
    key = trial.user_attrs.get(RUN_KEY)
    if key is None or not tracking.has(key):
        key = key or new_key()
        live.set_user_attr(RUN_KEY, key)
        tracking.start(
            record_of(trial, study.study_name, sweep, searched(trial.params), tags={}), key
        )
    tracking.run(key).end(Failed(LOST))
    study.tell(trial.number, state=TrialState.FAIL)


def outcome_of(trial: FrozenTrial) -> Outcome:
    """Gives how a trial ended whose run has not; one that still ran has been failed."""
    match trial.state:
        case TrialState.COMPLETE:
            return Completed(tuple(trial.values))
        case TrialState.PRUNED:
            return Pruned(trial.last_step or 0)
    return Failed(reason_of(trial) or LOST)

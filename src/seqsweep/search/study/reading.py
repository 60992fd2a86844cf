"""Studies as a reader finds them: opened without writing anything, and what became of each."""

from __future__ import annotations

import ast
import collections
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import optuna
import yaml
from optuna.trial import FrozenTrial

from seqsweep.errors import SearchError, UserError, first_line
from seqsweep.search.report.best import best_trials
from seqsweep.search.report.results import RESULTS, STATES
from seqsweep.search.study.claim import is_run_in
from seqsweep.search.study.past import (
    ENDED_BY,
    N_TRIALS,
    SEARCH,
    Past,
    is_due_again,
    runs_elsewhere,
)
from seqsweep.search.study.store.base import Store
from seqsweep.search.study.store.opening import open_to_read
from seqsweep.search.study.study import silence_optuna
from seqsweep.search.workers.stops import settled
from seqsweep.secrets import masked


def open_for_reading(place: str) -> Store:
    """Opens a store of studies, a URL or the path of an SQLite file.

    Raises:
        NoStudiesError: it holds none.
        SearchError: there is none, or it cannot be read.
    """
    silence_optuna()
    with readable(place):
        return open_to_read(place)


@contextmanager
def readable(place: str) -> Iterator[None]:
    """Turns what a store raises that cannot be read into one sentence."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # drivers and SQLAlchemy raise what they like
        why = first_line(error.__cause__ or error)
        raise SearchError(
            f"the store of studies {masked(place)} cannot be read: {why}; seqsweep doctor looks "
            "closer"
        ) from error


@dataclass(frozen=True)
class Reading:
    """A study at the time it was read.

    Attributes:
        names: what its objectives are called.
        n_trials: how many trials are to end, None where no number was asked for or noted.
        where: on which host a sweep runs it now, empty where none does.
    """

    study: optuna.Study
    past: Past
    trials: tuple[FrozenTrial, ...]
    names: tuple[str, ...]
    n_trials: int | None
    where: str

    @classmethod
    def of(cls, storage: Store, name: str) -> Reading:
        """Reads the study of that name.

        Raises:
            KeyError: there is none.
        """
        study = optuna.load_study(study_name=name, storage=storage)
        past = Past(name, study._study_id, study.user_attrs)
        return cls(
            study,
            past,
            tuple(study.get_trials(deepcopy=False)),
            _names(study, past),
            past.attributes.get(N_TRIALS),
            _where(past, storage),
        )

    @property
    def name(self) -> str:
        """The study's name."""
        return self.past.name

    @property
    def directions(self) -> list[str]:
        """The direction of each objective, as a sweep's file names it."""
        return [direction.name.lower() for direction in self.study.directions]

    @property
    def counts(self) -> dict[str, int]:
        """How many trials are in each state, by the words of the report."""
        found = collections.Counter(STATES[trial.state][0] for trial in self.trials)
        return {word: found[word] for word, _style in STATES.values()}

    @property
    def n_settled(self) -> int:
        """How many trials have ended and are not tried again: what counts towards `n_trials`.

        Where the sweep may go on, that leaves out those that its end has interrupted.
        """
        again = is_due_again if self.state in ("running", "interrupted") else (lambda _trial: False)
        return sum(not again(trial) for trial in settled(self.trials))

    @property
    def best(self) -> list[FrozenTrial]:
        """The best trial, or the Pareto front."""
        return best_trials(self.study)

    @property
    def began(self) -> datetime | None:
        """When the first trial began."""
        return min((t.datetime_start for t in self.trials if t.datetime_start), default=None)

    @property
    def last_end(self) -> datetime | None:
        """When the last trial to end did."""
        return max((t.datetime_complete for t in self.trials if t.datetime_complete), default=None)

    @property
    def ended_by(self) -> str | None:
        """The field of `hydra.sweeper` that ended it, None where it may go on."""
        return self.past.attributes.get(ENDED_BY)

    @property
    def is_ours(self) -> bool:
        """Whether a sweep of this project made it, and not Optuna alone."""
        return self.past.folder is not None

    @property
    def state(self) -> str:
        """Says `running`, `ended`, `interrupted`, or `unknown` of a study that is not ours."""
        if self.where:
            return "running"
        if self.ended_by:
            return "ended"
        return "interrupted" if self.is_ours else "unknown"


def read_all(storage: Store) -> list[Reading]:
    """Reads all studies, in the order in which they were made."""
    studies = sorted(storage.get_all_studies(), key=lambda study: study._study_id)
    return [Reading.of(storage, study.study_name) for study in studies]


def find_name(storage: Store, wanted: str | None) -> str:
    """Gives the name of the study that `wanted` says: its own, or that of the last `wanted-n`.

    None stands for the one in which a trial has begun last.

    Raises:
        SearchError: there is none.
    """
    names = [study.study_name for study in storage.get_all_studies()]
    if not names:
        raise SearchError("the store holds no sweep yet: python src/run.py -m sweep begins one")
    if wanted is None:
        began = {name: _last_begin(storage, name) for name in names}
        return max(names, key=began.__getitem__)
    if wanted in names:
        return wanted
    numbers = [name.removeprefix(f"{wanted}-") for name in names if name.startswith(f"{wanted}-")]
    if not any(number.isdecimal() for number in numbers):
        raise SearchError(f"there is no sweep {wanted!r}; there are {', '.join(names[-20:])}")
    return f"{wanted}-{max((n for n in numbers if n.isdecimal()), key=int)}"


def _last_begin(storage: Store, name: str) -> tuple[datetime, int]:
    study_id = storage.get_study_id_from_name(name)
    trials = storage.get_all_trials(study_id, deepcopy=False)
    begins = [trial.datetime_start for trial in trials if trial.datetime_start]
    return max(begins, default=datetime.min), study_id


def _names(study: optuna.Study, past: Past) -> tuple[str, ...]:
    """Gives the names of the objectives: the sweep's, Optuna's own, or as the report calls them."""
    said = past.attributes.get(SEARCH, {}).get("hydra.sweeper.metric", "()")
    known = tuple(ast.literal_eval(said)) or tuple(study.metric_names or ())
    count = len(study.directions)
    if len(known) == count:
        return known
    return ("value",) if count == 1 else tuple(f"value_{i}" for i in range(count))


def _where(past: Past, storage: Store) -> str:
    if past.folder is not None and is_run_in(past.folder):
        return "on this host"
    return runs_elsewhere(past, storage).partition(",")[0]


def evaluations(past: Past) -> dict[int, dict[str, float]]:
    """Gives what the last look at each best trial's model gave, by the trial's number.

    That is what the sweep wrote in its folder; empty where nothing is to be read there.
    """
    if past.folder is None:
        return {}
    try:
        results = yaml.safe_load((past.folder / RESULTS).read_text(encoding="utf-8"))
        found = results.get("solutions", [results])
        known = {each.get("trial", each.get("best_trial")): each["evaluated"] for each in found}
    except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError):
        return {}
    return {number: values for number, values in known.items() if values}

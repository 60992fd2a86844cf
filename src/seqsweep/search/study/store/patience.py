"""Patience with a server that is away: what is asked again, and what is looked at first."""

from __future__ import annotations

import functools
import logging
import random
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from seqsweep.errors import first_line
from seqsweep.search.study.store.base import Store

PATIENCE_S = 120.0  # a server restarts in seconds; one that moves to another machine in minutes
HURRY_S = 4.0  # the same, where the program is to end
PAUSE_S = 1.0  # at most, between two tries
Result = TypeVar("Result")

# What may be done twice, since nobody knows whether the server did it before it went away: each
# reads, or writes a value in the place of the same.
REPEATABLE = (
    "set_study_user_attr",
    "set_study_system_attr",
    "get_study_id_from_name",
    "get_study_name_from_id",
    "get_study_directions",
    "get_study_user_attrs",
    "get_study_system_attrs",
    "get_all_studies",
    "get_trial_id_from_study_id_trial_number",
    "set_trial_user_attr",
    "set_trial_system_attr",
    "set_trial_intermediate_value",
    "silences",
    "now",
    "silence_s",
)


class Patient(Store):
    """A store that is asked again where its server is away, for `PATIENCE_S`.

    All calls and threads wait for the same server, so that the time counts from when it was first
    away; what is asked later fails at once.

    Attributes:
        is_patient: False where whoever asks this process waits instead.
    """

    is_patient = True
    _away_since: float | None = None
    _is_told = False  # that it is away
    _is_hurried = False

    def hurry(self) -> None:
        """Says that the program is to end; may be called by a signal's handler."""
        self._is_hurried = True

    @abstractmethod
    def passes(self, error: Exception) -> bool:
        """Says whether it is of a server that is away, starts, or has cut what it was asked."""

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Sets the trial's state; says whether it could be set."""

        def is_done() -> bool:
            if state is TrialState.RUNNING:  # by whom is not known, so another trial is taken
                return False
            stored = self.get_trial(trial_id)
            return stored.state is state and (values is None or stored.values == list(values))

        change = functools.partial(super().set_trial_state_values, trial_id, state, values)
        return self._changed(change, is_done)

    def swap(self, study_id: int, key: str, old: Any, new: Any) -> bool:
        """Sets an attribute of the study where it is `old`; says whether it was."""
        return self._changed(
            functools.partial(super().swap, study_id, key, old, new),
            lambda: self.get_study_user_attrs(study_id).get(key) == new,
        )

    def _changed(self, change: Callable[[], bool], is_done: Callable[[], bool]) -> bool:
        """Makes a change that is refused the second time; `is_done` says whether the first did."""
        tries = 0

        def attempt() -> bool:
            nonlocal tries
            tries += 1
            try:
                return change() or (tries > 1 and is_done())
            except UpdateFinishedTrialError:
                if tries > 1 and is_done():
                    return True
                raise

        return self._repeated(attempt)

    def _repeated(self, ask: Callable[[], Result]) -> Result:
        """Asks until the server answers."""
        began, tries = time.monotonic(), 0
        while True:
            try:
                result = ask()
            except Exception as error:
                if not self.passes(error) or self._is_out_of_patience(began):
                    raise
                tries += 1
                if tries > 1:  # once, it may have been no more than a deadlock
                    self._tell(error)
                    self._wait_for_others()
                time.sleep(random.uniform(0, PAUSE_S))
            else:
                self._away_since, self._is_told = None, False
                return result

    def _is_out_of_patience(self, began: float) -> bool:
        if not self.is_patient:
            return True
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
        waited_s = now - min(began, self._away_since)
        return waited_s > (HURRY_S if self._is_hurried else PATIENCE_S)

    def _tell(self, error: Exception) -> None:
        if not self._is_told:
            self._is_told = True
            why = first_line(error.__cause__ or error)
            logging.getLogger(__name__).warning("hydra.sweeper.storage is away: %s", why)


def repeat(kind: type[Patient], names: Iterable[str]) -> None:
    """Lets the methods of those names that the class has inherited ask again."""
    for name in names:
        setattr(kind, name, _repeatable(getattr(kind, name)))


def _repeatable(method: Callable[..., Result]) -> Callable[..., Result]:
    @functools.wraps(method)
    def repeated(self: Patient, *arguments: Any, **named: Any) -> Result:
        return self._repeated(lambda: method(self, *arguments, **named))

    return repeated

"""What a proxy remembers of the trials that it has read."""

from __future__ import annotations

import collections
import itertools
import threading
from collections.abc import Sequence

from optuna.distributions import BaseDistribution
from optuna.storages import _CachedStorage
from optuna.storages._cached_storage import _StudyInfo
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from seqsweep.search.study.store.database import Database


class SharedCache(_CachedStorage):
    """Optuna's cache of finished trials, for many who read at once.

    A reading that began after one was asked for is as good as another, so that all who wait for
    the same study's have one together. Trials are only made known by reading, hence in their order.
    """

    def __init__(self, backend: Database) -> None:
        super().__init__(backend)
        self._study_ids: dict[int, int] = {}  # by the trial's id
        self._distributions = collections.defaultdict[int, dict[str, BaseDistribution]](dict)
        self._reading = threading.Lock()
        self._begun = collections.Counter[int]()  # readings of each study
        self._done = collections.Counter[int]()  # the last of them that was done

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        """Makes a study; SQLite gives it the number of one that is deleted."""
        study_id = super().create_new_study(directions, study_name)
        self._forget(study_id)
        return study_id

    def delete_study(self, study_id: int) -> None:
        """Deletes a study; SQLite gives the numbers of its trials to others."""
        super().delete_study(study_id)
        self._study_ids.clear()
        self._distributions.pop(study_id, None)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Makes a trial."""
        trial_id = self._backend.create_new_trial(study_id, template_trial)
        self._study_ids[trial_id] = study_id
        return trial_id

    def begin(self, study_id: int, total: int) -> int:
        """Makes a trial that runs, where fewer than so many do or have ended."""
        trial_id = self._backend.within(total).create_new_trial(study_id)
        self._study_ids[trial_id] = study_id
        return trial_id

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        """Sets a value; Optuna's cache only can of trials that it has made or read."""
        if trial_id not in self._study_ids:  # begun when another proxy was here, or beside it
            self._study_ids[trial_id] = self._backend._study_of(trial_id)
        known = self._distributions[self._study_ids[trial_id]]
        given = (trial_id, param_name, param_value_internal, distribution, known.get(param_name))
        self._backend._set_trial_param(*given)
        known.setdefault(param_name, distribution)

    def changed(self, study_id: int, known: set[int], greater_than: int) -> list[FrozenTrial]:
        """Gives the trials of the study whose ids are among those, or greater."""
        self._read_trials_from_remote_storage(study_id)
        with self._lock:
            trials = self._studies[study_id].trials
            places = (self._trial_id_to_study_id_and_number.get(trial_id) for trial_id in known)
            found = [trials[place[1]] for place in places if place and place[0] == study_id]
            new = itertools.takewhile(
                lambda trial: trial._trial_id > greater_than, reversed(trials.values())
            )
            return found + [trial for trial in new if trial._trial_id not in known]

    def _read_trials_from_remote_storage(self, study_id: int) -> None:
        begun = self._begun[study_id]
        with self._reading:
            if self._done[study_id] > begun:
                return
            self._begun[study_id] += 1
            if self._backend.engine.name == "sqlite":
                self._forget_what_is_gone(study_id)
            super()._read_trials_from_remote_storage(study_id)
            self._done[study_id] = self._begun[study_id]

    def _forget_what_is_gone(self, study_id: int) -> None:
        """Forgets the trials of a study that another program has deleted."""
        trials = self._studies[study_id].trials if study_id in self._studies else {}
        if trials and not self._backend.holds(study_id, next(reversed(trials.values()))):
            self._forget(study_id)

    def _forget(self, study_id: int) -> None:
        with self._lock:
            self._studies[study_id] = _StudyInfo()
            self._distributions.pop(study_id, None)
            places = self._trial_id_to_study_id_and_number
            for trial_id in [i for i, place in places.items() if place[0] == study_id]:
                del places[trial_id]

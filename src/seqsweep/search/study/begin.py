"""How a sweep comes to its study: an earlier one that goes on, or a new one."""

from __future__ import annotations

import optuna

from seqsweep.errors import SearchError
from seqsweep.search.plan import Plan
from seqsweep.search.study.holder import take
from seqsweep.search.study.past import FOLDER, N_TRIALS, SEARCH, find, runs_elsewhere, search_of
from seqsweep.search.study.store.base import Store
from seqsweep.search.study.study import create_study, last_number


def open_store(plan: Plan) -> Store:
    """Opens the store of studies, names this one and makes its folder.

    Raises:
        UserError: the store or the folder cannot be used, or holds another sweep.
    """
    file = plan.folder / "optuna.db"
    if plan.settings.storage is None and not file.exists():
        plan.claim.take_after(0)
        plan.storage = str(file)
        return plan.connect()
    plan.storage = plan.settings.storage or str(file)
    storage = plan.connect()
    if not _continues(plan, storage):
        plan.claim.take_after(last_number(storage, plan.claim.base))
    return storage


def begin(plan: Plan, storage: Store) -> optuna.Study:
    """Creates the study, or loads it.

    Raises:
        UserError: the store cannot be written, or the given name is taken.
    """
    if not plan.claim.is_new:
        study = optuna.load_study(study_name=plan.study_name, storage=storage)
        plan.holder = take(storage, study._study_id, plan.before)
        if plan.holder is None:
            raise _is_run(plan.study_name, "by another sweep now, which was faster")
        study.set_user_attr(N_TRIALS, plan.n_trials)
        if SEARCH not in study.user_attrs:
            _write_down(plan, study)
        return study
    while True:
        plan.claim.keep()
        study = create_study(storage, plan.study_name, plan.settings.direction)
        if study is not None:
            plan.claim.has_begun = True
            plan.holder = take(storage, study._study_id, None)
            study.set_user_attr(FOLDER, str(plan.folder))
            study.set_user_attr(N_TRIALS, plan.n_trials)
            _write_down(plan, study)
            return study
        plan.claim.give_back()
        if plan.claim.given_name is not None:
            raise plan.claim.taken()
        plan.claim.take_after(last_number(storage, plan.claim.base))  # another was faster


def _continues(plan: Plan, storage: Store) -> bool:
    """Takes the study of an earlier sweep where this one is to go on with it.

    That is the study of the given name, or the last one where its sweep was not finished.

    Raises:
        SearchError: a study of the given name has searched otherwise, or is being run.
    """
    past = find(storage, plan.claim.base, plan.claim.given_name)
    is_named = plan.claim.given_name is not None
    if past is None or plan.settings.fresh or (past.is_finished and not is_named):
        return False
    if difference := past.difference(search_of(plan.jobs)):
        if is_named:
            raise SearchError(
                f"hydra.sweeper.study_name={past.name!r} has searched otherwise, so it cannot "
                f"go on with this: {difference}; give another name"
            )
        plan.note = f"{past.name} was not finished, but searched otherwise: {difference}"
        return False
    where = runs_elsewhere(past, storage)
    if not where and plan.claim.continue_in(past.name, past.folder or plan.folder):
        plan.before = past.holder
        return True
    if is_named:
        raise _is_run(past.name, where or "by another sweep now")
    plan.note = f"{past.name} is being run {where}" if where else ""
    return False


def _write_down(plan: Plan, study: optuna.Study) -> None:
    """Lets the known points wait in the study; then says what it searches: it has begun."""
    if not plan.tries_all:
        for point in plan.known[len(study.get_trials(deepcopy=False)) :]:
            study.enqueue_trial(point)
    study.set_user_attr(SEARCH, search_of(plan.jobs))


def _is_run(name: str, where: str) -> SearchError:
    return SearchError(
        f"hydra.sweeper.study_name={name!r} is being run {where}, or give another name"
    )

"""What ends a sweep: each stop by itself, on trials as Optuna stores them."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import FrozenTrial, TrialState, create_trial

from seqsweep.search.workers.budget import Budget
from seqsweep.search.workers.stops import FEW, RETRY_OF, Stop, find_stop, settled


def trials(*ends: float | str) -> list[FrozenTrial]:
    """Gives completed trials for numbers, pruned ones for "p", failed ones for "f"."""
    states = {"p": TrialState.PRUNED, "f": TrialState.FAIL}
    made = []
    for trial_number, end in enumerate(ends):
        number = isinstance(end, int | float)
        state = TrialState.COMPLETE if number else states[end]
        trial = create_trial(state=state, value=float(end) if number else None)
        trial.number = trial_number
        made.append(trial)
    return made


def broken(trial: FrozenTrial) -> FrozenTrial:
    trial.set_constraint("size <= 1", 0.5)
    return trial


def stop(chosen, ended, total: int | None = 100) -> str | None:
    found = find_stop(chosen, total, ended)
    return found.field if found else None


@given(st.integers(1, 30), st.lists(st.sampled_from([0.5, "p", "f"]), max_size=40))
def test_n_trials_ends_a_sweep_once_so_many_have_ended_however_they_did(settings, total, ends):
    found = stop(settings(), trials(*ends), total)
    assert found == ("n_trials" if len(ends) >= total else None)


def test_a_trial_that_is_tried_again_does_not_count():
    failed, completed, running = *trials("f", 0.5), create_trial(state=TrialState.RUNNING)
    waiting = create_trial(state=TrialState.WAITING, user_attrs={RETRY_OF: failed.number})
    assert settled([failed, completed, running]) == [failed, completed]
    assert settled([failed, completed, running, waiting]) == [completed]


@pytest.mark.parametrize(
    ("direction", "target", "ends", "ended"),
    [
        ("maximize", 0.9, (0.5, 0.9), True),
        ("maximize", 0.9, (0.5, 0.89), False),
        ("minimize", 0.1, (0.5, 0.1), True),
        ("minimize", 0.1, (0.5, "p", "f"), False),
    ],
)
def test_target_ends_a_sweep_once_a_trial_reaches_it(settings, direction, target, ends, ended):
    chosen = settings(direction=direction, target=target)
    assert stop(chosen, trials(*ends)) == ("target" if ended else None)


def test_a_trial_that_breaks_a_constraint_reaches_no_target_and_is_no_improvement(settings):
    chosen = settings(direction="maximize", target=0.9)
    assert stop(chosen, [broken(trial) for trial in trials(0.95)]) is None
    chosen = settings(direction="maximize", patience=2)
    best, *_ = ended = trials(0.5, 0.6, 0.7)
    assert stop(chosen, [best, *map(broken, ended[1:])]) == "patience"


@pytest.mark.parametrize(
    ("ends", "ended"),
    [
        ((0.5, 0.4, 0.4), True),
        ((0.5, 0.4, 0.6), False),
        ((0.5, "p", 0.5), True),  # equal is no improvement
        ((0.5, "f", "f", "f"), False),  # a failure says nothing about the values
        (("p", "p", "p", 0.5), False),  # nothing to improve on yet
        ((0.5, 0.6, 0.6, 0.6), True),
    ],
)
def test_patience_ends_a_sweep_after_so_many_trials_without_improvement(settings, ends, ended):
    chosen = settings(direction="maximize", patience=2)
    assert stop(chosen, trials(*ends)) == ("patience" if ended else None)


def test_max_failures_are_what_may_fail_and_one_more_ends_the_sweep(settings):
    chosen = settings(max_failures=2)
    assert stop(chosen, trials("f", 1, "f")) is None
    assert stop(chosen, trials("f", 1, "f", "f")) == "max_failures"
    assert stop(settings(max_failures=0), trials("f")) == "max_failures"


@given(
    st.floats(0, 1),
    st.lists(st.sampled_from([0.5, "f"]), max_size=40),
    st.none() | st.integers(1, 50),
)
def test_max_failure_rate_is_of_all_that_ended_and_of_a_few_at_least(settings, rate, ends, total):
    found = find_stop(settings(max_failure_rate=rate), total, trials(*ends))
    of = max(len(ends), FEW if total is None else min(FEW, total))
    assert (found is not None and found.field == "max_failure_rate") == (
        ends.count("f") > rate * of
    )


def test_only_failures_are_a_failure_of_the_sweep(settings):
    ended = trials("f", 0.5)
    assert find_stop(settings(max_failures=0), 2, ended).is_failure
    assert not find_stop(settings(target=0.6), 9, ended).is_failure
    assert not find_stop(settings(), 2, ended).is_failure


class Study:
    """Trials that slots add to."""

    def __init__(self) -> None:
        self.ended: list[FrozenTrial] = []

    def __call__(self) -> list[FrozenTrial]:
        return list(self.ended)


@pytest.mark.parametrize("n_slots", [1, 2, 5])
@pytest.mark.parametrize("total", [1, 2, 7])
def test_several_slots_start_exactly_as_many_trials_as_are_to_end(settings, n_slots, total):
    study = Study()
    budget = Budget(settings(), total, study)

    def serve() -> None:
        while budget.take():
            study.ended += trials(0.5)
            budget.give_back()

    threads = [threading.Thread(target=serve) for _ in range(n_slots)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert len(study.ended) == total
    assert budget.stopped_by.field == "n_trials"


def test_a_slot_waits_for_a_trial_that_may_have_to_be_tried_again(settings):
    study = Study()
    budget = Budget(settings(max_retries=1), 1, study)
    assert budget.take()
    given: list[bool] = []
    waiting = threading.Thread(target=lambda: given.append(budget.take()))
    waiting.start()
    waiting.join(timeout=0.2)
    assert waiting.is_alive()
    (failed,) = trials("f")
    retry = create_trial(state=TrialState.WAITING, user_attrs={RETRY_OF: failed.number})
    study.ended += [failed, retry]
    budget.give_back()
    waiting.join(timeout=20)
    assert given == [True]


def test_a_slot_counts_what_other_workers_run_and_looks_for_what_they_have_ended(settings):
    study = Study()
    study.ended += [create_trial(state=TrialState.RUNNING)]
    budget = Budget(settings(), 1, study, look_s=0.05)
    given: list[bool] = []
    waiting = threading.Thread(target=lambda: given.append(budget.take()))
    waiting.start()
    waiting.join(timeout=0.2)
    assert waiting.is_alive()
    study.ended[:] = trials(0.5)  # nobody tells the budget
    waiting.join(timeout=20)
    assert given == [False]
    assert budget.stopped_by.field == "n_trials"


def test_a_worker_that_comes_late_has_only_what_is_left_of_the_time(settings):
    budget = Budget(settings(timeout=1000), 1, Study(), look_s=1.0, timeout_s=0.0)
    assert not budget.take()
    assert budget.stopped_by.field == "timeout"


def test_timeout_wakes_the_slots_that_wait_and_gives_no_more_leave(settings):
    budget = Budget(settings(timeout=0.2), 1, Study())
    assert budget.take()
    assert not budget.take()
    assert budget.stopped_by.field == "timeout"


def test_the_first_stop_is_the_one_that_is_told(settings):
    budget = Budget(settings(), 5, Study())
    budget.stop(Stop("interrupt", "interrupted", is_failure=True))
    budget.stop(Stop("storage", "it failed", is_failure=True))
    assert not budget.take()
    assert budget.stopped_by.field == "interrupt"


def test_a_stop_waits_for_no_store_that_is_away(settings):
    asked, answers = threading.Event(), threading.Event()

    def away() -> list:
        asked.set()
        answers.wait(timeout=60)
        return []

    budget, given = Budget(settings(), 5, away), []
    taking = threading.Thread(target=lambda: given.append(budget.take()))
    taking.start()
    asked.wait(timeout=20)
    stopping = threading.Thread(
        target=budget.stop, args=[Stop("interrupt", "interrupted", is_failure=True)]
    )
    stopping.start()
    stopping.join(timeout=20)
    assert not stopping.is_alive()
    answers.set()
    taking.join(timeout=20)
    assert given == [False]

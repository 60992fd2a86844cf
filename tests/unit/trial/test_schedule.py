"""When a training validates and ends, and in which order it reads the images."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqsweep.config import TrainingConfig
from seqsweep.trial.schedule import Batches, Schedule


def training(**values) -> TrainingConfig:
    defaults = {
        "batch_size": 128,
        "epochs": None,
        "training_iters": None,
        "validate_every": 1.0,
        "display_step": 10,
        "patience": None,
        "restore_best": True,
        "display": "bar",
        "test_len": None,
        "checkpoint_every_s": None,
    }
    return TrainingConfig(**{**defaults, **values})


def test_the_tutorial_takes_781_steps():
    """100,000 samples in batches of 128: 781 * 128 = 99,968 is the last product below."""
    schedule = Schedule(training(training_iters=100_000), 55_000)
    assert schedule.n_steps == 781
    shown = [s.end * 128 for s in schedule.stretches() if s.display]
    assert shown == list(range(1280, 99_968, 1280))


@given(st.integers(2, 500), st.integers(1, 60_000))
def test_training_iters_is_the_tutorials_while_loop(batch_size, more):
    iters = batch_size + more
    steps, step = 0, 1
    while step * batch_size < iters:
        steps, step = steps + 1, step + 1
    schedule = Schedule(training(batch_size=batch_size, training_iters=iters), 1000)
    assert schedule.n_steps == steps


@pytest.mark.parametrize(
    ("batch_size", "epochs", "steps"), [(128, 1, 32), (128, 5, 157), (4000, 3, 3), (1, 0.5, 2000)]
)
def test_epochs_are_passed_whole(batch_size, epochs, steps):
    assert Schedule(training(batch_size=batch_size, epochs=epochs), 4000).n_steps == steps


def test_the_limit_that_is_reached_first_ends_the_training():
    n = 4000
    assert Schedule(training(epochs=1, training_iters=10**6), n).n_steps == 32
    assert Schedule(training(epochs=100, training_iters=1000), n).n_steps == 7


@given(
    batch_size=st.integers(1, 300),
    epochs=st.floats(0.1, 6),
    validate_every=st.floats(0.05, 3),
    display_step=st.integers(1, 50),
)
def test_the_last_step_is_validated_and_validations_are_numbered_without_a_gap(
    batch_size, epochs, validate_every, display_step
):
    config = training(
        batch_size=batch_size,
        epochs=epochs,
        validate_every=validate_every,
        display_step=display_step,
    )
    schedule = Schedule(config, 1000)
    stretches = list(schedule.stretches())
    ends = [s.end for s in stretches]
    numbers = [s.validation for s in stretches if s.validation is not None]
    assert ends == sorted(set(ends))
    assert ends[-1] == schedule.n_steps
    assert stretches[-1].validation is not None
    assert all(s.display or s.validation for s in stretches)
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("batch_size", [32, 64, 100, 128, 256])
def test_trials_of_any_batch_size_validate_equally_often(batch_size):
    """The pruner compares validation k of one trial with validation k of another."""
    schedule = Schedule(training(batch_size=batch_size, epochs=5), 4000)
    validations = {s.validation: s.end for s in schedule.stretches() if s.validation}
    assert list(validations) == [1, 2, 3, 4, 5]
    for number, step in validations.items():
        assert 0 <= step * batch_size - number * 4000 < batch_size


@given(st.integers(1, 50), st.integers(1, 80), st.lists(st.integers(1, 20), max_size=6))
def test_each_pass_holds_each_image_once_however_the_batches_are_taken(n, batch_size, takes):
    batches = Batches(n, batch_size, seed=3)
    order = np.concatenate([batches.take(k).ravel() for k in takes] or [np.empty(0, int)])
    for start in range(0, len(order) - n + 1, n):
        assert sorted(order[start : start + n]) == list(range(n))


def test_each_pass_has_an_order_of_its_own_and_the_seed_governs_them():
    def passes(seed):
        order = Batches(100, 10, seed).take(20).ravel()
        return order[:100].tolist(), order[100:].tolist()

    first, second = passes(0)
    assert first != second
    assert passes(0) == (first, second)
    assert passes(1) != (first, second)

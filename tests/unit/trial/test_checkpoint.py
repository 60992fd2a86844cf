"""A checkpoint's file comes back as it was written, or not at all."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from seqsweep.trial.checkpoint import FILE, UnusableCheckpoint, read, write
from seqsweep.trial.kept import Kept, Scores
from seqsweep.trial.schedule import Batches

SMALL = {"step": 3, "model": [np.arange(4, dtype=np.float32)], "told": {"sent": []}}
numbers = st.integers() | st.floats() | st.none() | st.text(max_size=8)
kinds = st.sampled_from([np.float32, np.int32, np.int64, np.uint8])
weights = kinds.flatmap(
    lambda kind: arrays.arrays(kind, arrays.array_shapes(min_dims=0, max_dims=3))
)
states = st.dictionaries(st.text(max_size=5), numbers | st.lists(weights, max_size=3), max_size=5)
here = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def same(one, other) -> bool:
    if isinstance(one, np.ndarray):
        return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    return repr(one) == repr(other)  # NaN too


@here
@given(states)
def test_any_state_comes_back_bit_for_bit(tmp_path, state):
    write(tmp_path / FILE, state, "me")
    assert same(read(tmp_path / FILE, "me"), state)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.fixture
def content(tmp_path) -> bytes:
    write(tmp_path / FILE, SMALL, "me")
    return (tmp_path / FILE).read_bytes()


def test_a_file_that_ends_at_any_byte_is_refused(tmp_path, content):
    file = tmp_path / "cut"
    for length in range(len(content)):
        file.write_bytes(content[:length])
        with pytest.raises(UnusableCheckpoint, match="damaged"):
            read(file, "me")
    file.write_bytes(content + b"\0")
    with pytest.raises(UnusableCheckpoint, match="damaged"):
        read(file, "me")
    file.write_bytes(content)
    assert same(read(file, "me"), SMALL)


def test_a_file_with_a_flipped_bit_in_any_byte_is_refused(tmp_path, content):
    file = tmp_path / "flipped"
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        file.write_bytes(flipped)
        with pytest.raises(UnusableCheckpoint, match="damaged"):
            read(file, "me")


@here
@given(st.data())
def test_a_large_file_with_a_flipped_bit_anywhere_is_refused(tmp_path, data):
    write(tmp_path / FILE, {"model": [np.ones((200, 300), np.float32)]}, "me")
    content = bytearray((tmp_path / FILE).read_bytes())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(UnusableCheckpoint, match="damaged"):
        read(tmp_path / FILE, "me")


def test_a_whole_file_of_another_training_is_refused(tmp_path, content):
    with pytest.raises(UnusableCheckpoint, match="another configuration, data set or version"):
        read(tmp_path / FILE, "somebody else")


def test_a_write_that_is_cut_off_leaves_the_file_that_there_was(tmp_path, content, monkeypatch):
    def fails(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fails)
    with pytest.raises(OSError, match="No space"):
        write(tmp_path / FILE, {"step": 4}, "me")
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    assert same(read(tmp_path / FILE, "me"), SMALL)


def test_an_object_is_never_written():
    with pytest.raises(TypeError, match="plain values and arrays"):
        write(None, {"step": {1, 2}}, "me")


takes = st.lists(st.integers(0, 9), max_size=6)


@here
@given(st.integers(1, 40), st.integers(1, 50), takes, takes)
def test_the_data_order_goes_on_where_it_was(tmp_path, n, batch_size, before, after):
    batches = Batches(n, batch_size, seed=5)
    for n_steps in before:
        batches.take(n_steps)
    write(tmp_path / FILE, batches.state(), "me")
    again = Batches(n, batch_size, seed=6)
    again.restore(read(tmp_path / FILE, "me"))
    for n_steps in after:
        assert again.take(n_steps).tolist() == batches.take(n_steps).tolist()


class Model:
    """As much of a Keras model as the choice of weights needs."""

    def __init__(self) -> None:
        self.weights = [np.zeros(3, np.float32)]

    def get_weights(self):
        return [weight.copy() for weight in self.weights]

    def set_weights(self, weights):
        self.weights = weights

    def count_params(self):
        return 3


class Chosen:
    objective = ("val_accuracy",)

    class training:  # noqa: N801
        restore_best = True
        patience = 2


scores = st.lists(st.builds(Scores, st.floats(0, 9), st.floats(0, 1)), min_size=1, max_size=8)


@here
@given(scores, st.data())
def test_the_best_validation_and_patience_go_on_where_they_were(tmp_path, seen, data):
    cut = data.draw(st.integers(0, len(seen)))

    def see(kept: Kept, model: Model, first: int, some: list[Scores]) -> list[bool]:
        over = []
        for number, each in enumerate(some, first):
            model.weights = [np.full(3, number, np.float32)]
            kept.see(number, each, model)
            over.append(kept.is_over())
        return over

    whole, model = Kept(Chosen), Model()
    over = see(whole, model, 1, seen)
    begun, other = Kept(Chosen), Model()
    see(begun, other, 1, seen[:cut])
    write(tmp_path / FILE, begun.state(), "me")
    again = Kept(Chosen)
    again.restore(read(tmp_path / FILE, "me"))
    assert see(again, other, cut + 1, seen[cut:]) == over[cut:]
    expected, found = whole.settle(model), again.settle(other)
    assert found == expected
    assert other.weights[0].tolist() == model.weights[0].tolist()

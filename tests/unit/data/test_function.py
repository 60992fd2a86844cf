"""A function of the user's as a source of data."""

import numpy as np
import pytest

from seqsweep.config import DataFunctionConfig
from seqsweep.data import count_training, function, load
from seqsweep.errors import ConfigError, DataError

MODULE = """
import numpy as np

CALLS = []
x, y = np.arange(240, dtype=np.uint8).reshape(12, 5, 4), np.arange(12) % 3


def good():
    CALLS.append(1)
    return x, y, x[:3], y[:3]


def lists():
    return (x / 255).tolist(), y.tolist(), (x[:3] / 255).tolist(), y[:3].tolist()


def pairs():
    return (x, y), (x[:3], y[:3])


def one():
    return x


def text():
    return {}


def ragged():
    return [[1], [1, 2]], y, x[:3], y[:3]


def flat():
    return x[:, 0], y, x[:3, 0], y[:3]


def large():
    return x.astype(float), y, x[:3].astype(float), y[:3]


def unlabelled():
    return x, y[:5], x[:3], y[:3]


def fails():
    raise OSError("no disk")


def takes(path):
    pass
"""


@pytest.fixture
def named(tmp_path, monkeypatch, request):
    name = f"user_data_{abs(hash(request.node.name))}"  # a module is imported once
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    function.peek.cache_clear()
    return lambda what, n_validation=3: DataFunctionConfig(
        name="function", function=f"{name}:{what}", n_validation=n_validation
    )


@pytest.mark.parametrize("what", ["good", "lists"])
def test_its_arrays_are_the_data(named, what):
    dataset = load(named(what))
    assert (len(dataset.train.y), len(dataset.validation.y), len(dataset.test.y)) == (9, 3, 3)
    x = np.arange(240, dtype=np.float32).reshape(12, 5, 4) / 255
    np.testing.assert_allclose(dataset.test.x, x[:3], rtol=1e-6)
    assert dataset.n_classes == 3
    assert count_training(named(what)) == 9


def test_to_count_the_images_often_it_is_called_once(named):
    for n_validation in (3, 3, 3):
        count_training(named("good", n_validation))
    import sys

    module = sys.modules[named("good").function.partition(":")[0]]
    assert len(module.CALLS) == 1


@pytest.mark.parametrize("act", [count_training, load])
@pytest.mark.parametrize(
    ("what", "kind", "said"),
    [
        ("nosuch", ConfigError, "nosuch' names no function: module 'user_data_"),
        ("x", ConfigError, "is no function but of type ndarray"),
        ("fails", ConfigError, "user_data_"),
        ("fails", ConfigError, ".py: OSError: no disk"),
        ("takes", ConfigError, "failed: TypeError: takes() missing 1 required positional"),
        ("one", DataError, "gives a ndarray: x_train, y_train, x_test, y_test, as NumPy"),
        ("text", DataError, "gives a dict: x_train, y_train, x_test, y_test"),
        ("pairs", DataError, "gives 2 values: x_train, y_train, x_test, y_test"),
        ("ragged", DataError, "x_train is no array ("),
        ("flat", DataError, "the training images have shape (12, 4): (images, steps, features)"),
        ("unlabelled", DataError, "there are 12 training images and 5 training labels"),
    ],
)
def test_what_is_no_data_is_one_sentence(named, act, what, kind, said):
    with pytest.raises(kind) as caught:
        act(named(what))
    assert str(caught.value).startswith("data.function=")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_values_are_checked_as_those_of_a_file_are(named):
    with pytest.raises(DataError, match=r"hold values from 0.0 to 239.0: finite floats in"):
        load(named("large"))
    with pytest.raises(ConfigError, match="leaves no training image of the 12 in data"):
        load(named("good", 12))

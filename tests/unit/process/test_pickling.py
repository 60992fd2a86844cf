"""A value is pickled as fast as it can be, and as another process can read it."""

import pickle
import subprocess
import sys
from dataclasses import dataclass

import cloudpickle
import pytest

from seqsweep.process.pickling import pickled


@dataclass
class Known:
    a: int = 1


class Main:
    """Stands in the program that was started."""

    __module__ = "__main__"


@pytest.mark.parametrize("value", [{"a": [1, "b"]}, Known(2)])
def test_what_can_be_imported_is_pickled_by_its_name(value):
    assert pickled(value) == pickle.dumps(value)
    assert pickle.loads(pickled(value)) == value


@pytest.mark.parametrize("value", [lambda: 5, [lambda: 5]])
def test_a_function_without_a_name_is_pickled_whole(value):
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(value)
    assert pickled(value) == cloudpickle.dumps(value)


def test_what_stands_in_the_program_crosses_to_another(monkeypatch):
    monkeypatch.setattr(sys.modules["__main__"], "Main", Main, raising=False)
    assert b"Main" in pickle.dumps(Main())  # by a name that no other program has
    code = "import pickle, sys; print(type(pickle.load(sys.stdin.buffer)).__doc__)"
    read = subprocess.run(
        [sys.executable, "-c", code], input=pickled(Main()), stdout=-1, check=True
    )
    assert read.stdout.split() == b"Stands in the program that was started.".split()

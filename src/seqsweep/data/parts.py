"""The four arrays that every source gives, and what their shapes and types must be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from seqsweep.errors import ConfigError, DataError


class Form(NamedTuple):
    """The shape and type of an array, as its file's header states them."""

    shape: tuple[int, ...]
    dtype: np.dtype


class Parts(NamedTuple):
    """Images and labels as they are stored, or only their forms.

    `source` is what an error message calls them: a file, a folder, a package.
    """

    source: str
    x_train: np.ndarray | Form
    y_train: np.ndarray | Form
    x_test: np.ndarray | Form
    y_test: np.ndarray | Form


def check_forms(parts: Parts) -> Parts:
    """Gives `parts` back if training and test arrays fit each other.

    Raises:
        DataError: naming the first array that does not, what it is and what is accepted.
    """
    for fault in _faults(parts):
        raise DataError(f"{parts.source}: {fault}")
    return parts


def left_to_train(parts: Parts, n_validation: int) -> int:
    """Gives the number of training images once `n_validation` of them are taken out.

    Raises:
        ConfigError: none is left.
    """
    n_images = parts.x_train.shape[0]
    if n_validation >= n_images:
        raise ConfigError(
            f"data.n_validation={n_validation} leaves no training image of the {n_images} in "
            f"{parts.source}: less than {n_images} is accepted"
        )
    return n_images - n_validation


def _faults(parts: Parts) -> Iterator[str]:
    yield from _half_faults("training", parts.x_train, parts.y_train)
    yield from _half_faults("test", parts.x_test, parts.y_test)
    train, test = parts.x_train.shape[1:], parts.x_test.shape[1:]
    if train != test:
        yield f"training images are {train} and test images {test}: the same is expected"


def _half_faults(half: str, x: np.ndarray | Form, y: np.ndarray | Form) -> Iterator[str]:
    if len(x.shape) != 3 or 0 in x.shape:
        yield (
            f"the {half} images have shape {x.shape}: "
            "(images, steps, features), none of them 0, is expected"
        )
    if x.dtype != np.uint8 and not (x.dtype.kind == "f" and x.dtype.itemsize <= 8):
        yield (
            f"the {half} images have type {x.dtype}: "
            "uint8 from 0 to 255 or 16, 32 or 64 bit floats in [0, 1] are accepted"
        )
    if len(y.shape) != 1:
        yield f"the {half} labels have shape {y.shape}: one number per image is expected"
    if y.dtype.kind not in "iu":
        yield f"the {half} labels have type {y.dtype}: integers are accepted"
    if x.shape[0] != y.shape[0]:
        yield (
            f"there are {x.shape[0]} {half} images and {y.shape[0]} {half} labels: "
            "equal counts are expected"
        )

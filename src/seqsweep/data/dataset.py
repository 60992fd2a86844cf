"""A data set in memory, and the one way in which raw arrays become one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from seqsweep.data.parts import Parts, check_forms, left_to_train
from seqsweep.data.stratified import held_out
from seqsweep.errors import DataError

# Labels above are ids, not classes; and the model's last layer is as wide as the largest label.
MAX_CLASSES = 65_536


# eq=False: comparing arrays gives arrays, not a truth value.
@dataclass(frozen=True, eq=False)
class Split:
    """Images `x`, float32 in [0, 1], (n, steps, features), and labels `y`, int32, (n,)."""

    x: np.ndarray
    y: np.ndarray

    def __post_init__(self):
        x, y = self.x, self.y
        if (x.dtype, x.ndim, y.dtype, y.shape) != (np.float32, 3, np.int32, x.shape[:1]):
            raise ValueError(
                f"x is {x.dtype}{x.shape} and y {y.dtype}{y.shape}: "
                "float32 (n, steps, features) and int32 (n,) are accepted"
            )

    @property
    def digest(self) -> str:
        """Names the images and labels by their content: 16 hexadecimal digits of SHA-256."""
        content = hashlib.sha256(f"{self.x.shape}".encode())
        for array in (self.x, self.y):
            content.update(np.ascontiguousarray(array).data)
        return content.hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Three disjoint splits; labels are 0 to `n_classes` - 1."""

    name: str
    train: Split
    validation: Split
    test: Split
    n_classes: int

    @property
    def input_shape(self) -> tuple[int, int]:
        """Steps and features of one image."""
        return self.train.x.shape[1:]


def build(name: str, parts: Parts, n_validation: int) -> Dataset:
    """Gives the data set, with `n_validation` training images kept for validation.

    They are taken per class in proportion, the same ones on every call; the rest keeps its order.

    Raises:
        ConfigError: `n_validation` leaves no training image.
        DataError: the arrays are inconsistent or hold values that are not accepted.
    """
    check_forms(parts)
    _check_images(parts)
    n_classes = _count_classes(parts)
    left_to_train(parts, n_validation)
    is_held_out = held_out(parts.y_train, n_validation)
    return Dataset(
        name=name,
        train=_split(parts.x_train[~is_held_out], parts.y_train[~is_held_out]),
        validation=_split(parts.x_train[is_held_out], parts.y_train[is_held_out]),
        test=_split(parts.x_test, parts.y_test),
        n_classes=n_classes,
    )


def _check_images(parts: Parts) -> None:
    for half, images in (("training", parts.x_train), ("test", parts.x_test)):
        if images.dtype == np.uint8:
            continue
        low, high = images.min(), images.max()
        # NaN fails every comparison, so this refuses it too.
        if not (low >= 0 and high <= 1):
            raise DataError(
                f"{parts.source}: the {half} images hold values from {low} to {high}: "
                "finite floats in [0, 1], or uint8 from 0 to 255, are accepted"
            )


def _count_classes(parts: Parts) -> int:
    n_classes = int(parts.y_train.max()) + 1
    _check_labels(parts, "training", parts.y_train, MAX_CLASSES)
    if parts.y_train.min() == parts.y_train.max():
        raise DataError(
            f"{parts.source}: every training label is {n_classes - 1}: "
            "at least two classes are expected"
        )
    _check_labels(parts, "test", parts.y_test, n_classes)
    return n_classes


def _check_labels(parts: Parts, half: str, labels: np.ndarray, n_classes: int) -> None:
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= n_classes:
        largest = "the largest training label" if half == "test" else "the largest class"
        raise DataError(
            f"{parts.source}: the {half} labels are from {low} to {high}: "
            f"0 to {n_classes - 1}, {largest}, are accepted"
        )


def _split(images: np.ndarray, labels: np.ndarray) -> Split:
    # order="C": an archive may hold Fortran order, and a batch of it is slow to gather.
    if images.dtype == np.uint8:
        x = np.divide(images, np.float32(255), dtype=np.float32, order="C")
    else:
        x = images.astype(np.float32, order="C")
    return Split(x, labels.astype(np.int32))

"""A folder of the four classic IDX files: MNIST's, Fashion-MNIST's or one's own.

The format is described at http://yann.lecun.com/exdb/mnist/ and in
https://github.com/cvdfoundation/mnist. Only unsigned bytes are read, as all of these files hold.
"""

from __future__ import annotations

import gzip
import math
import os
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np

from seqsweep.config import IdxConfig
from seqsweep.data.files import MAX_RATIO, opened, read_exactly, reading, user_path
from seqsweep.data.parts import Form, Parts, check_forms
from seqsweep.errors import DataError

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
# The third byte is the type, 8 for unsigned bytes; the fourth the number of dimensions.
DIMENSIONS = {b"\0\0\x08\x03": 3, b"\0\0\x08\x01": 1}
GZIP = b"\x1f\x8b"
EXPECTED = "an IDX file of unsigned bytes, gzipped or not,"


def read(config: IdxConfig) -> Parts:
    """Gives the arrays of the four files in `data.dir`."""
    return read_folder(user_path(config.dir))


def peek(config: IdxConfig) -> Parts:
    """Gives the forms of the four files in `data.dir`, from their headers."""
    return peek_folder(user_path(config.dir))


def read_folder(folder: Path) -> Parts:
    """Gives the arrays of the four files in `folder`.

    Raises:
        DataError: a file is missing or malformed.
    """
    return Parts(str(folder), *map(read_idx, _find(folder)))


def peek_folder(folder: Path) -> Parts:
    """Gives the forms of the four files in `folder`, from their headers.

    Raises:
        DataError: a file is missing, a header malformed or at odds with another.
    """
    return check_forms(Parts(str(folder), *map(_peek_idx, _find(folder))))


def read_idx(path: Path) -> np.ndarray:
    """Gives the uint8 array of one file, (images, rows, columns) or (labels,).

    Raises:
        DataError: the file is missing, damaged, cut short, too long or of another kind.
    """
    with opened(path, EXPECTED) as file:
        stream, most = _unpacked(file)
        shape = _shape(stream, most, path)
        data = read_exactly(stream, math.prod(shape), str(path))
    return np.frombuffer(data, np.uint8).reshape(shape)


def _peek_idx(path: Path) -> Form:
    with opened(path, EXPECTED) as file:
        return Form(_shape(*_unpacked(file), path), np.dtype(np.uint8))


def _find(folder: Path) -> list[Path]:
    what = f"a folder with {', '.join(FILES)}"
    with reading(folder, what):
        if not folder.is_dir():
            raise DataError(f"{folder} is no folder: {what} is expected")
        return [_find_file(folder, name) for name in FILES]


def _find_file(folder: Path, name: str) -> Path:
    # Some mirrors write a dot where the others write a hyphen.
    dotted = name.replace("-idx", ".idx")
    names = (name, f"{name}.gz", dotted, f"{dotted}.gz")
    for candidate in names:
        if (folder / candidate).is_file():
            return folder / candidate
    raise DataError(f"{folder} holds no {name}: one of {', '.join(names)} is expected")


def _unpacked(file: BinaryIO) -> tuple[BinaryIO, int]:
    """Gives the stream of plain bytes and the most that it can hold.

    By content rather than by name, for browsers unpack a file and leave its `.gz`.
    """
    size = os.fstat(file.fileno()).st_size
    if file.peek(2)[:2] == GZIP:
        return gzip.GzipFile(fileobj=file), size * MAX_RATIO
    return file, size


def _shape(stream: BinaryIO, most: int, path: Path) -> tuple[int, ...]:
    magic = stream.read(4)
    if magic not in DIMENSIONS:
        start = f"begins with 0x{magic.hex()}" if magic else "is empty"
        raise DataError(f"{path} {start}: 0x00000803 (images) or 0x00000801 (labels) is expected")
    n = DIMENSIONS[magic]
    header = stream.read(4 * n)
    if len(header) < 4 * n:
        raise DataError(f"{path} ends within its header: {4 * n} bytes of dimensions are expected")
    return _possible(struct.unpack(f">{n}I", header), most - len(magic + header), path)


def _possible(shape: tuple[int, ...], most: int, path: Path) -> tuple[int, ...]:
    if 0 in shape:
        raise DataError(f"{path} states the dimensions {shape}: none of them may be 0")
    if math.prod(shape) > most:
        raise DataError(
            f"{path} states the dimensions {shape}, {math.prod(shape)} bytes: "
            f"a file of its size holds at most {most}"
        )
    return shape

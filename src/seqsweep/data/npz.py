"""A NumPy archive with x_train, y_train, x_test and y_test, read without ever unpickling.

`np.load` would allocate what a header promises; here every promise is held against the size of the
file first.
"""

from __future__ import annotations

import math
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from seqsweep.config import NpzConfig
from seqsweep.data.files import MAX_RATIO, opened, read_exactly, user_path
from seqsweep.data.parts import Form, Parts, check_forms
from seqsweep.errors import DataError, reason

KEYS = ("x_train", "y_train", "x_test", "y_test")
HEADER_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
# NumPy writes 118 bytes for three dimensions; longer ones are record types or an attack on `ast`.
MAX_HEADER = 1024


class Header(NamedTuple):
    """What an array's header states."""

    form: Form
    is_fortran: bool


def read(config: NpzConfig) -> Parts:
    """Gives the arrays of the archive `data.path`."""
    return read_archive(user_path(config.path))


def peek(config: NpzConfig) -> Parts:
    """Gives the forms of the arrays in `data.path`, from their headers."""
    return peek_archive(user_path(config.path))


def read_archive(path: Path) -> Parts:
    """Gives the four arrays of the archive.

    Raises:
        DataError: it is missing, damaged or no archive, or an array is missing or malformed.
    """
    peek_archive(path)
    with _opened(path) as archive:
        return Parts(str(path), *(_read_array(archive, key) for key in KEYS))


def peek_archive(path: Path) -> Parts:
    """Gives the forms of the four arrays, from their headers.

    Raises:
        DataError: as `read_archive`, as far as headers show it.
    """
    with _opened(path) as archive:
        return check_forms(Parts(str(path), *(_peek_array(archive, key) for key in KEYS)))


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    what = f"an archive of np.savez with {', '.join(KEYS)}"
    with opened(path, what) as file, zipfile.ZipFile(file) as archive:
        missing = [key for key in KEYS if f"{key}.npy" not in archive.namelist()]
        if missing:
            # As Python writes them: a stranger's names may hold line ends, or steer a terminal.
            held = ", ".join(repr(name[:40]) for name in archive.namelist()[:8]) or "nothing"
            raise DataError(
                f"{path} holds {held}, without {', '.join(missing)}: {what} is expected"
            )
        yield archive


def _read_array(archive: zipfile.ZipFile, key: str) -> np.ndarray:
    with _member(archive, key) as (stream, size):
        name = _name(archive, key)
        (shape, dtype), is_fortran = _read_header(stream, size, name)
        data = read_exactly(stream, math.prod(shape) * dtype.itemsize, name)
    return np.frombuffer(data, dtype).reshape(shape, order="F" if is_fortran else "C")


def _peek_array(archive: zipfile.ZipFile, key: str) -> Form:
    with _member(archive, key) as (stream, size):
        return _read_header(stream, size, _name(archive, key)).form


@contextmanager
def _member(archive: zipfile.ZipFile, key: str) -> Iterator[tuple[BinaryIO, int]]:
    """Opens an array's member and gives the size that it promises, once that is possible."""
    info = archive.getinfo(f"{key}.npy")
    # bzip2 and LZMA pack without a useful bound, and NumPy writes neither.
    ratios = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: MAX_RATIO}
    if info.compress_type not in ratios:
        raise DataError(
            f"{_name(archive, key)} is packed by method {info.compress_type}: "
            "0 (stored) or 8 (deflate) is accepted"
        )
    packed = min(info.compress_size, Path(archive.filename).stat().st_size)
    most = packed * ratios[info.compress_type]
    if info.file_size > most:
        raise DataError(
            f"{_name(archive, key)} promises {info.file_size} bytes: at most {most} are possible"
        )
    with archive.open(info) as stream:
        yield stream, info.file_size


def _read_header(stream: BinaryIO, size: int, name: str) -> Header:
    """Gives the header of a member of `size` bytes and leaves `stream` at the data."""
    try:
        header = _parse_header(stream)
    # ast and np.dtype meet arbitrary text here, and what they raise is nowhere listed.
    except Exception as error:
        raise DataError(
            f"{name} cannot be read ({reason(error)}): an array of numbers is expected"
        ) from error
    shape, dtype = header.form
    if dtype.hasobject:
        raise DataError(f"{name} holds Python objects, never loaded: numbers are accepted")
    left = size - stream.tell()
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != left:
        raise DataError(f"{name} states the shape {shape} of {dtype}, but holds {left} bytes")
    return header


def _parse_header(stream: BinaryIO) -> Header:
    version = np.lib.format.read_magic(stream)
    if version not in HEADER_READERS:
        raise ValueError(f"its format is {version}, of {list(HEADER_READERS)}")
    with warnings.catch_warnings():
        # A header that Python 2 wrote is read with a warning; nobody can act on it.
        warnings.simplefilter("ignore")
        shape, is_fortran, dtype = HEADER_READERS[version](stream, max_header_size=MAX_HEADER)
    return Header(Form(shape, dtype), is_fortran)


def _name(archive: zipfile.ZipFile, key: str) -> str:
    return f"{archive.filename}: {key}"

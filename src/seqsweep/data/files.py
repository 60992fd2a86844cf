"""Where a data file lies, and how much of it is ever read."""

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from seqsweep.errors import DataError, reason

# Deflate packs no tighter, so what promises more is a lie: https://www.zlib.net/zlib_tech.html
MAX_RATIO = 1032
CHUNK = 2**20

# What gzip and zipfile raise on damaged files, as found by flipping their bytes.
DAMAGED = (
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


def user_path(text: str) -> Path:
    """Gives the absolute path of what a user typed: `~` is the home, relative is to here.

    Raises:
        DataError: `~name` names no user.
    """
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError as error:
        raise DataError(f"{text} is no path: {error}".rstrip(".")) from error


@contextmanager
def opened(path: Path, what: str) -> Iterator[BinaryIO]:
    """Opens a file; what goes wrong while it is read is a DataError that says `what` is expected.

    Raises:
        DataError: there is no such file, or it is damaged.
    """
    with reading(path, what):
        # A pipe or a device would block or never end.
        if not path.is_file():
            problem = "is not a regular file" if path.exists() else "does not exist"
            raise DataError(f"{path} {problem}: {what} is expected")
        with path.open("rb") as file:
            yield file


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Makes what goes wrong at `path` a DataError that says `what` is expected."""
    try:
        yield
    except DAMAGED as error:
        raise DataError(f"{path} cannot be read ({reason(error)}): {what} is expected") from error


def read_exactly(stream: BinaryIO, size: int, name: str) -> bytearray:
    """Gives the `size` bytes that are left in `stream`.

    Memory grows with what the stream gives, never with what `size` promises, and one byte more
    than promised is enough to refuse the rest.

    Raises:
        DataError: the stream holds fewer bytes, or more.
    """
    data = bytearray()
    while chunk := stream.read(min(CHUNK, size + 1 - len(data))):
        data += chunk
    if len(data) != size:
        held = "more" if len(data) > size else f"only {len(data)}"
        raise DataError(f"{name} holds {held} bytes of data: its header promises {size}")
    return data

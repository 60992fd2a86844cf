"""Whatever a data file holds, it is read whole or refused in a line, with little memory."""

import gzip
import io
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqsweep.config import IdxConfig, NpzConfig
from seqsweep.data import count_training, load
from seqsweep.data.idx import FILES
from seqsweep.data.npz import KEYS
from seqsweep.errors import UserError

MOST = 20_000_000  # bytes, where the files hold some hundred
some = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
ARRAYS = {
    "x_train": np.arange(96, dtype=np.uint8).reshape(8, 4, 3),
    "y_train": np.arange(8, dtype=np.uint8) % 2,
    "x_test": np.zeros((2, 4, 3), np.uint8),
    "y_test": np.array([0, 1], np.uint8),
}


def idx(array: np.ndarray) -> bytes:
    magic = 0x800 + array.ndim
    return struct.pack(f">{1 + array.ndim}I", magic, *array.shape) + array.tobytes()


def npz(arrays=ARRAYS) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def read_or_told(config) -> bool:
    """Says whether it was read; tells of any other end than a line for the user."""
    tracemalloc.start()
    try:
        count_training(config)
        assert len(load(config).train.y) == 7
        return True
    except UserError as error:
        told = str(error).splitlines()
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < MOST
    assert len(told) == 1
    return False


@pytest.fixture
def folder(tmp_path):
    for name, array in zip(FILES, ARRAYS.values(), strict=True):
        (tmp_path / name).write_bytes(idx(array))
    return tmp_path


def read_idx(folder, content: bytes) -> bool:
    (folder / FILES[0]).write_bytes(content)
    return read_or_told(IdxConfig(name="idx", dir=str(folder), n_validation=1))


def read_npz(folder, content: bytes) -> bool:
    (folder / "data.npz").write_bytes(content)
    return read_or_told(NpzConfig(name="npz", path=str(folder / "data.npz"), n_validation=1))


WHOLE = {
    "idx": (read_idx, idx(ARRAYS["x_train"])),
    "idx.gz": (read_idx, gzip.compress(idx(ARRAYS["x_train"]))),
    "npz": (read_npz, npz()),
}
kinds = pytest.mark.parametrize(("read", "whole"), WHOLE.values(), ids=WHOLE)


@kinds
def test_a_file_that_ends_at_any_byte_is_told_of(folder, read, whole):
    assert read(folder, whole)
    for end in range(0, len(whole), max(1, len(whole) // 150)):
        assert not read(folder, whole[:end])


@kinds
@given(data=st.data())
@some
def test_a_file_with_any_bytes_changed_is_read_or_told_of(folder, read, whole, data):
    changed = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(whole) - 1))
        changed[place] = data.draw(st.integers(0, 255))
    read(folder, bytes(changed) + data.draw(st.binary(max_size=3)))


@kinds
@given(content=st.binary(max_size=200), keep=st.integers(0, 30))
@some
def test_any_bytes_are_told_of(folder, read, whole, content, keep):
    read(folder, whole[:keep] + content)


@pytest.mark.parametrize("shape", [(2**32 - 1,) * 3, (2**31, 4, 3), (8, 2**20, 2**20)])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
def test_sizes_of_terabytes_are_refused(folder, shape, pack):
    content = struct.pack(">4I", 0x803, *shape) + bytes(100)
    assert not read_idx(folder, pack(content))


def test_a_gzip_bomb_is_refused(folder):
    assert not read_idx(folder, gzip.compress(idx(ARRAYS["x_train"]) + bytes(100_000_000)))
    assert not read_idx(folder, gzip.compress(bytes(100_000_000)))


def archive(members) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members:
            file.writestr(name, content)
    return stream.getvalue()


def test_hostile_entries_of_an_archive_write_nothing_and_are_read_or_told_of(folder):
    with zipfile.ZipFile(io.BytesIO(npz())) as file:
        honest = [(f"{key}.npy", file.read(f"{key}.npy")) for key in KEYS]
    outside = [("../outside.npy", b"x"), ("/tmp/outside.npy", b"x"), ("a\x00b", b"x")]
    assert read_npz(folder, archive([*honest, *outside]))
    assert not (folder.parent / "outside.npy").exists()
    bomb = ("bomb.npy", bytes(100_000_000))
    assert read_npz(folder, archive([*honest, bomb]))
    assert not read_npz(folder, archive([("x_train.npy", bytes(100_000_000)), *honest[1:]]))
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = archive([*honest, ("x_train.npy", b"no array")])
    assert not read_npz(folder, twice)


@pytest.mark.parametrize("key", KEYS)
def test_a_member_of_python_objects_is_refused(folder, key):
    hostile = np.empty(ARRAYS[key].shape, object)
    hostile.fill({"a": 1})
    assert not read_npz(folder, npz({**ARRAYS, key: hostile}))

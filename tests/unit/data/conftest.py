"""Small data sets as files, written without the code under test."""

import gzip
import struct

import numpy as np
import pytest

IDX_NAMES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}


def idx_bytes(array):
    magic = {3: 0x803, 1: 0x801}[array.ndim]
    return struct.pack(f">{1 + array.ndim}I", magic, *array.shape) + array.tobytes()


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {
        "x_train": rng.integers(0, 256, (30, 5, 4), dtype=np.uint8),
        "y_train": np.arange(30, dtype=np.uint8) % 3,
        "x_test": rng.integers(0, 256, (9, 5, 4), dtype=np.uint8),
        "y_test": np.arange(9, dtype=np.uint8) % 3,
    }


@pytest.fixture
def idx_folder(tmp_path, arrays):
    folder = tmp_path / "idx"
    folder.mkdir()
    for key, name in IDX_NAMES.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(idx_bytes(arrays[key])))
    return folder


@pytest.fixture
def npz_file(tmp_path, arrays):
    path = tmp_path / "data.npz"
    np.savez_compressed(path, **arrays)
    return path

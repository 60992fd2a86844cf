import array
import gzip
import os
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqsweep.data.idx import read_idx
from seqsweep.errors import DataError

IMAGES, LABELS = 0x803, 0x801
PLAIN = struct.pack(">4I", IMAGES, 2, 3, 2) + bytes(range(200, 212))
FILES = {"plain": PLAIN, "gzipped": gzip.compress(PLAIN, mtime=0)}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("idx") / "file-ubyte"


def refusal(path, content):
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_idx(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def size_or_refusal(path):
    try:
        return read_idx(path).size
    except DataError as error:
        return "refused" if str(path) in str(error) else str(error)


@given(
    shape=st.one_of(
        st.tuples(st.integers(1, 50)),
        st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(1, 6)),
    ),
    is_gzipped=st.booleans(),
    data=st.data(),
)
@settings(max_examples=100)
def test_what_is_written_is_read(path, shape, is_gzipped, data):
    size = int(np.prod(shape))
    content = data.draw(st.binary(min_size=size, max_size=size))
    magic = IMAGES if len(shape) == 3 else LABELS
    whole = struct.pack(f">{1 + len(shape)}I", magic, *shape) + content
    path.write_bytes(gzip.compress(whole) if is_gzipped else whole)
    read = read_idx(path)
    assert (read.dtype, read.shape, read.tobytes()) == (np.uint8, shape, content)


def test_pixels_stand_where_an_independent_reader_finds_them(idx_folder):
    path = idx_folder / "train-images-idx3-ubyte.gz"
    with gzip.open(path) as file:
        header = array.array("I", file.read(16))
        pixels = array.array("B", file.read())
    header.byteswap()
    _, n, rows, columns = header
    read = read_idx(path)
    assert read.shape == (n, rows, columns)
    for i in range(n):
        for row in range(rows):
            for column in range(columns):
                assert read[i, row, column] == pixels[(i * rows + row) * columns + column]


@pytest.mark.parametrize("packing", FILES)
def test_a_file_cut_at_any_length_is_refused(path, packing):
    for length in range(len(FILES[packing])):
        refusal(path, FILES[packing][:length])


@pytest.mark.parametrize("packing", FILES)
@given(data=st.data())
@settings(max_examples=300)
def test_flipped_bits_give_an_array_or_a_data_error(path, packing, data):
    content = bytearray(FILES[packing])
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    assert size_or_refusal(path) in (12, "refused")


@given(content=st.binary(max_size=60))
@settings(max_examples=200)
def test_any_bytes_after_a_magic_number_give_an_array_or_a_data_error(path, content):
    path.write_bytes(struct.pack(">I", LABELS) + content)
    assert size_or_refusal(path) in (len(content) - 4, "refused")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", " is empty: 0x00000803 (images) or 0x00000801 (labels) is expected"),
        (gzip.compress(b""), " is empty: 0x00000803"),
        (b"\0\0\x08", " begins with 0x000008: 0x00000803 (images)"),
        (b"\0\0\x0d\x03" + PLAIN[4:], " begins with 0x00000d03: 0x00000803 (images)"),
        (b"\x89PNG\r\n\x1a\n", " begins with 0x89504e47: "),
        (PLAIN[:10], " ends within its header: 12 bytes of dimensions are expected"),
        (PLAIN + b"\0", " holds more bytes of data: its header promises 12"),
        (gzip.compress(PLAIN + b"\0"), " holds more bytes of data: its header promises 12"),
        (gzip.compress(PLAIN[:-1]), " holds only 11 bytes of data: its header promises 12"),
        (PLAIN[:-1], " states the dimensions (2, 3, 2), 12 bytes: a file of its size holds at m"),
        (struct.pack(">4I", IMAGES, 0, 28, 28), " dimensions (0, 28, 28): none of them may be 0"),
        (struct.pack(">4I", IMAGES, *[2**32 - 1] * 3), "bytes: a file of its size holds at most 0"),
        (gzip.compress(struct.pack(">4I", IMAGES, 2**20, 28, 28)), ", 822083584 bytes: a file of"),
        (FILES["gzipped"][:-8] + b"12345678", "cannot be read (CRC check failed"),
    ],
)
def test_a_refusal_says_what_was_received_and_what_is_expected(path, content, said):
    assert said in refusal(path, content)


def peak_of_refusal(path):
    tracemalloc.start()
    try:
        with pytest.raises(DataError):
            read_idx(path)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_file_that_unpacks_to_more_than_its_header_says_is_not_unpacked(path):
    path.write_bytes(gzip.compress(PLAIN + bytes(50_000_000)))
    assert peak_of_refusal(path) < 1_000_000


def test_memory_follows_what_is_there_and_not_what_the_header_promises(path):
    header = struct.pack(">4I", IMAGES, 100_000, 28, 28)
    path.write_bytes(gzip.compress(header + os.urandom(100_000)))
    assert peak_of_refusal(path) < 5_000_000


def test_a_missing_file_or_a_folder_is_refused(path):
    with pytest.raises(DataError, match="missing does not exist: an IDX file of unsigned bytes"):
        read_idx(path.parent / "missing")
    with pytest.raises(DataError, match="is not a regular file: an IDX file of unsigned bytes"):
        read_idx(path.parent)


def test_a_pipe_is_refused_without_waiting_for_its_writer(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="is not a regular file"):
        read_idx(tmp_path / "pipe")

import io
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqsweep.data.npz import KEYS, peek_archive, read_archive
from seqsweep.errors import DataError

READERS = [peek_archive, read_archive]
SMALL = {
    "x_train": np.arange(24, dtype=np.uint8).reshape(4, 3, 2),
    "y_train": np.array([0, 1, 0, 1]),
    "x_test": np.linspace(0, 1, 6).reshape(1, 3, 2),
    "y_test": np.array([1], np.int8),
}


def archive_bytes(arrays, save=np.savez_compressed):
    stream = io.BytesIO()
    save(stream, **arrays)
    return stream.getvalue()


def member_bytes(array, **stated):
    """An .npy member whose header states other than the truth."""
    header = np.lib.format.header_data_from_array_1_0(array) | stated
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + array.tobytes()


def write(path, changed=(), lies=(), method=zipfile.ZIP_DEFLATED):
    """Writes SMALL, with some members' bytes changed and some of the directory's fields."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for key in KEYS:
            content = dict(changed).get(key, member_bytes(SMALL[key]))
            archive.writestr(f"{key}.npy", content)
        for field, value in dict(lies).items():
            setattr(archive.getinfo("x_train.npy"), field, value)
    return path


def refusal(path, reader=read_archive):
    with pytest.raises(DataError) as caught:
        reader(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def read_or_refused(path):
    try:
        return read_archive(path)
    except DataError as error:
        if str(path) not in str(error):
            raise
        return None


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("npz") / "data.npz"


image_types = st.sampled_from(["u1", "<f2", "<f4", ">f4", "<f8"])
label_types = st.sampled_from(["i1", "u1", "<i2", ">i4", "<i8", "<u8"])


@given(
    shape=st.tuples(*[st.integers(1, 5)] * 3),
    n_test=st.integers(1, 4),
    types=st.tuples(image_types, label_types, image_types, label_types),
    order=st.sampled_from("CF"),
    save=st.sampled_from([np.savez, np.savez_compressed]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=100)
def test_what_numpy_writes_is_read(path, shape, n_test, types, order, save, seed):
    rng = np.random.default_rng(seed)
    shapes = (shape, shape[:1], (n_test, *shape[1:]), (n_test,))
    arrays = {
        key: np.array(rng.integers(0, 127, shape), dtype, order=order)
        for key, shape, dtype in zip(KEYS, shapes, types, strict=True)
    }
    path.write_bytes(archive_bytes(arrays, save))
    read, forms = read_archive(path), peek_archive(path)
    for key in KEYS:
        np.testing.assert_array_equal(getattr(read, key), arrays[key])
        assert getattr(read, key).dtype == getattr(forms, key).dtype == arrays[key].dtype
        assert getattr(forms, key).shape == arrays[key].shape


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("reader", READERS)
def test_a_file_cut_at_any_length_is_refused(path, save, reader):
    whole = archive_bytes(SMALL, save)
    for length in range(0, len(whole), 3):
        path.write_bytes(whole[:length])
        refusal(path, reader)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@given(data=st.data())
@settings(max_examples=400)
def test_flipped_bits_give_the_arrays_or_a_data_error(path, save, data):
    content = bytearray(archive_bytes(SMALL, save))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    read = read_or_refused(path)
    assert read is None or all((getattr(read, key) == SMALL[key]).all() for key in KEYS)


@given(data=st.data())
@settings(max_examples=300)
def test_a_header_with_flipped_bits_gives_arrays_or_a_data_error(path, data):
    # Packed anew, so that the archive's checksum does not catch what the header's check must.
    content = bytearray(member_bytes(SMALL["x_train"]))
    for _ in range(data.draw(st.integers(1, 2))):
        content[data.draw(st.integers(0, 127))] = data.draw(st.integers(0, 255))
    write(path, {"x_train": bytes(content)})
    read = read_or_refused(path)
    assert read is None or read.x_train.nbytes == 24


@given(text=st.text(alphabet="(){}[]'\"<>:,-~ \\0123456789fiuOVaTrue", max_size=60))
@settings(max_examples=200)
def test_any_header_text_gives_a_data_error(path, text):
    header = text.encode().ljust(117) + b"\n"
    content = np.lib.format.magic(1, 0) + len(header).to_bytes(2, "little") + header + bytes(24)
    write(path, {"x_train": content})
    refusal(path)


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ((1, 0), "x_train cannot be read (Header info length (20000) is large"),
        ((3, 0), "x_train cannot be read (its format is (3, 0), of [(1, 0), (2, 0)])"),
    ],
)
def test_a_header_that_numpy_would_not_trust_is_refused(path, version, said):
    header = (20_000).to_bytes(2, "little") + b"(" * 20_000
    write(path, {"x_train": np.lib.format.magic(*version) + header})
    assert said in refusal(path)


class Payload:
    """What `pickle` would turn into a call."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("reader", READERS)
def test_a_pickled_object_is_never_executed(path, tmp_path, key, reader):
    payload = np.empty(SMALL[key].shape, object)
    payload.fill(Payload(tmp_path / "executed"))
    path.write_bytes(archive_bytes({**SMALL, key: payload}))
    said = f"{key} holds Python objects, never loaded: numbers are accepted"
    assert said in refusal(path, reader)
    assert not (tmp_path / "executed").exists()
    with np.load(path, allow_pickle=True) as archive:
        archive[key]
    assert (tmp_path / "executed").exists()  # the payload works


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("shape", [(5, 3, 2), (3, 3, 2), (2**40, 3, 2), (-4, 3, -2), (4, 3)])
def test_a_shape_that_promises_other_than_what_is_there_is_refused(path, reader, shape):
    write(path, {"x_train": member_bytes(SMALL["x_train"], shape=shape)})
    said = f"x_train states the shape {shape} of uint8, but holds 24 bytes"
    assert said in refusal(path, reader)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("lies", "said"),
    [
        ({"file_size": 2**31 - 1}, "x_train promises 2147483647 bytes: at most"),
        ({"file_size": 2**31 - 1, "compress_size": 2**31 - 1}, "bytes: at most"),
        ({"file_size": 151}, "x_train cannot be read (Bad CRC-32"),
        ({"file_size": 200}, "but holds 72 bytes"),
        ({"compress_type": zipfile.ZIP_BZIP2}, "packed by method 12: 0 (stored) or 8 (deflate)"),
        ({"compress_type": 99}, "packed by method 99: 0 (stored) or 8 (deflate) is accepted"),
        ({"flag_bits": 1}, "cannot be read ("),
    ],
)
def test_a_directory_that_lies_is_refused(path, reader, lies, said):
    write(path, lies=lies)
    assert said in refusal(path, reader)


def test_a_member_that_unpacks_to_more_than_promised_is_not_unpacked(path):
    content = member_bytes(SMALL["x_train"]) + bytes(50_000_000)
    write(path, {"x_train": content}, lies={"file_size": 152})
    tracemalloc.start()
    try:
        assert "x_train cannot be read (Bad CRC-32" in refusal(path)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_names_in_an_archive_cannot_break_the_line_of_an_error(path):
    path.write_bytes(archive_bytes({"a\n\x1b[2J": SMALL["x_train"]}))
    assert r"holds 'a\n\x1b[2J.npy', without x_train" in refusal(path)


@pytest.mark.parametrize("reader", READERS)
def test_missing_arrays_are_named_beside_those_that_are_there(path, reader):
    path.write_bytes(archive_bytes({"x_train": SMALL["x_train"], "labels": SMALL["y_train"]}))
    message = refusal(path, reader)
    assert "holds 'x_train.npy', 'labels.npy', without y_train, x_test, y_test: an arch" in message


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"x_train": np.zeros((4, 3, 2), [("a", "u1")])}, "images have type [('a', 'u1')]: uint8"),
        ({"x_train": np.zeros((4, 3, 2), "U1")}, "training images have type <U1: uint8"),
        ({"x_train": np.zeros((4, 3, 2), np.longdouble)}, "training images have type float128"),
        ({"y_test": np.array([0.5])}, "test labels have type float64: integers are accepted"),
        ({"y_test": np.array(0)}, "test labels have shape (): one number per image is expected"),
        ({"y_train": np.array([0, 1])}, "4 training images and 2 training labels: equal counts"),
        ({"x_test": np.zeros((0, 3, 2))}, "test images have shape (0, 3, 2)"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(path, reader, changed, said):
    path.write_bytes(archive_bytes({**SMALL, **changed}))
    assert said in refusal(path, reader)


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x93NUMPY", b"PK\x05\x06"])
def test_what_is_no_archive_is_refused(path, content):
    path.write_bytes(content)
    assert "an archive of np.savez with x_train, y_train, x_test, y_test is" in refusal(path)


def test_a_missing_file_or_a_folder_is_refused(path):
    assert "missing.npz does not exist: an arch" in refusal(path.parent / "missing.npz")
    assert "is not a regular file: an archive" in refusal(path.parent)


def test_an_unreadable_file_is_refused(path, monkeypatch):
    path.write_bytes(archive_bytes(SMALL))

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert "cannot be read ([Errno 13] Permission denied)" in refusal(path)


def test_a_header_that_python_2_wrote_is_read_without_a_warning(path):
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (4L, 3L, 2L), }".ljust(117) + b"\n"
    content = np.lib.format.magic(1, 0) + len(header).to_bytes(2, "little") + header
    write(path, {"x_train": content + SMALL["x_train"].tobytes()})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (read_archive(path).x_train == SMALL["x_train"]).all()


def test_no_file_stays_open(path):
    path.write_bytes(archive_bytes(SMALL))
    before = len(list(Path("/proc/self/fd").iterdir()))
    read_archive(path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before

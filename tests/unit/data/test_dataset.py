import numpy as np
import pytest

from seqsweep.data.dataset import Split, build
from seqsweep.data.parts import Parts
from seqsweep.errors import ConfigError, DataError


def built(arrays, n_validation=6, **changed):
    return build("npz", Parts("here", **{**arrays, **changed}), n_validation)


def refusal(arrays, **changed):
    with pytest.raises(DataError) as caught:
        built(arrays, **changed)
    return str(caught.value)


def test_every_image_goes_to_one_split_with_its_label(arrays):
    # Each image is made of its own number, so that it can be recognised.
    images = np.broadcast_to(np.arange(30, dtype=np.uint8)[:, None, None], (30, 5, 4))
    data = built(arrays, x_train=images)
    numbers = np.rint(np.concatenate([data.train.x, data.validation.x])[:, 0, 0] * 255).astype(int)
    labels = np.concatenate([data.train.y, data.validation.y])
    assert sorted(numbers) == list(range(30))
    assert (labels == arrays["y_train"][numbers]).all()
    assert (np.diff(numbers[:24]) > 0).all()
    assert (len(data.train.y), len(data.validation.y), len(data.test.y)) == (24, 6, 9)


def test_bytes_are_scaled_to_floats_from_0_to_1(arrays):
    images = np.full((9, 5, 4), 255, np.uint8)
    images[0] = 0
    images[1] = 51
    x = built(arrays, x_test=images).test.x
    assert x.dtype == np.float32
    assert x[:3, 0, 0].tolist() == [0, np.float32(0.2), 1]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4"])
def test_floats_are_taken_as_they_are(arrays, dtype):
    images = np.linspace(0, 1, 600).reshape(30, 5, 4).astype(dtype)
    data = built(arrays, x_train=images, x_test=images[:9])
    assert data.train.x.dtype == np.float32
    assert (data.test.x == images[:9].astype(np.float32)).all()


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", ">i4", "int64", "uint64"])
def test_labels_of_every_integer_type_are_taken(arrays, dtype):
    data = built(arrays, y_train=arrays["y_train"].astype(dtype))
    assert data.train.y.dtype == data.test.y.dtype == np.int32
    assert data.n_classes == 3


def test_input_shape_is_steps_and_features(arrays):
    assert built(arrays).input_shape == (5, 4)


def test_images_in_fortran_order_become_contiguous(arrays):
    data = built(arrays, x_test=np.asfortranarray(arrays["x_test"]))
    assert data.test.x.flags.c_contiguous
    assert (data.test.x == built(arrays).test.x).all()


def test_a_class_without_images_counts(arrays):
    assert built(arrays, y_train=np.where(arrays["y_train"] == 1, 7, 0)).n_classes == 8


def test_a_test_label_that_training_lacks_is_refused(arrays):
    message = refusal(arrays, y_test=np.full(9, 3))
    assert message == (
        "here: the test labels are from 3 to 3: 0 to 2, the largest training label, are accepted"
    )


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"x_train": np.zeros((30, 20))}, "training images have shape (30, 20): (images, steps"),
        ({"x_train": np.zeros((0, 5, 4), np.uint8)}, "training images have shape (0, 5, 4)"),
        ({"x_test": np.zeros((9, 5, 0))}, "test images have shape (9, 5, 0)"),
        ({"x_test": np.zeros((9, 5, 3))}, "are (5, 4) and test images (5, 3): the same is expec"),
        ({"x_train": np.zeros((30, 5, 4), int)}, "images have type int64: uint8 from 0 to 255 or"),
        ({"x_train": np.zeros((30, 5, 4), bool)}, "training images have type bool: uint8"),
        ({"x_train": np.zeros((30, 5, 4), complex)}, "training images have type complex128"),
        ({"y_train": np.zeros((30, 3), int)}, "labels have shape (30, 3): one number per image"),
        ({"y_test": np.zeros(9)}, "test labels have type float64: integers are accepted"),
        ({"y_train": np.zeros(29, int)}, "30 training images and 29 training labels: equal counts"),
        ({"y_train": np.arange(30) - 1}, "labels are from -1 to 28: 0 to 65535, the largest class"),
        ({"y_train": np.full(30, 2**64 - 1, np.uint64)}, "from 18446744073709551615 to 18"),
        ({"y_train": np.ones(30, int)}, "every training label is 1: at least two classes"),
        ({"y_test": np.arange(9) - 1}, "the test labels are from -1 to 7: 0 to 2"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_is_accepted(arrays, changed, said):
    message = refusal(arrays, **changed)
    assert message.startswith("here: ")
    assert said in message


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -0.001, 1.001, 255.0])
def test_floats_outside_0_to_1_are_refused(arrays, value):
    images = np.zeros((9, 5, 4))
    images[4, 3, 2] = value
    message = refusal(arrays, x_test=images)
    assert "the test images hold values from" in message
    assert "finite floats in [0, 1], or uint8 from 0 to 255, are accepted" in message


def test_validation_images_leave_at_least_one_to_train(arrays):
    assert len(built(arrays, n_validation=29).train.y) == 1
    with pytest.raises(ConfigError) as caught:
        built(arrays, n_validation=30)
    assert str(caught.value) == (
        "data.n_validation=30 leaves no training image of the 30 in here: less than 30 is accepted"
    )


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (np.zeros((2, 3, 4)), np.zeros(2, np.int32)),
        (np.zeros((2, 3), np.float32), np.zeros(2, np.int32)),
        (np.zeros((2, 3, 4), np.float32), np.zeros(2, np.int64)),
        (np.zeros((2, 3, 4), np.float32), np.zeros(3, np.int32)),
    ],
)
def test_a_split_of_other_arrays_cannot_be_built(x, y):
    with pytest.raises(ValueError, match=r"float32 \(n, steps, features\) and int32"):
        Split(x, y)

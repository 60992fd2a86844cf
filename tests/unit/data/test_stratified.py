from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqsweep.data.stratified import fixed_order, held_out, shares

labelled = st.lists(st.sampled_from([0, 1, 2, 7, 300]), min_size=1, max_size=80)


@given(labels=labelled, data=st.data())
def test_each_class_gives_its_share_to_within_one_image(labels, data):
    n = data.draw(st.integers(0, len(labels)))
    mask = held_out(np.array(labels), n)
    assert mask.sum() == n
    for label in set(labels):
        due = Fraction(labels.count(label) * n, len(labels))
        assert abs(np.sum(np.array(labels)[mask] == label) - due) < 1


@given(labels=labelled, data=st.data())
def test_the_same_images_are_held_out_on_every_call(labels, data):
    n = data.draw(st.integers(0, len(labels)))
    assert (held_out(np.array(labels), n) == held_out(np.array(labels), n)).all()


@pytest.mark.parametrize(
    ("counts", "n", "expected"),
    [
        ([50, 30, 20], 10, [5, 3, 2]),
        ([5, 3, 2], 5, [3, 1, 1]),  # 2.5, 1.5 and 1: one seat left, a tie
        ([1, 1, 1], 2, [1, 1, 0]),
        ([97, 2, 1], 10, [10, 0, 0]),  # 9.7, 0.2 and 0.1
        ([4, 4], 8, [4, 4]),
        ([4, 4], 0, [0, 0]),
    ],
)
def test_shares_follow_the_largest_remainder(counts, n, expected):
    assert shares(np.array(counts), n).tolist() == expected


def test_the_order_never_changes():
    assert fixed_order(12).tolist() == [7, 3, 1, 2, 8, 4, 0, 9, 11, 6, 5, 10]


def test_the_split_leaves_the_global_random_state_alone():
    before = np.random.get_state()[1].copy()
    held_out(np.arange(10) % 2, 3)
    assert (np.random.get_state()[1] == before).all()

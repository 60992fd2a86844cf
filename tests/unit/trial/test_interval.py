"""The interval of a test accuracy is Wilson's."""

import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from seqsweep.trial.kept import Scores, wilson


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_the_one_that_scipy_gives(counts):
    right, n = counts
    theirs = scipy.stats.binomtest(right, n).proportion_ci(0.95, method="wilson")
    assert wilson(right, n) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_the_scores_of_a_test_hold_the_interval_of_their_accuracy():
    tested = Scores(0.2, 475 / 500).tested(500)
    theirs = scipy.stats.binomtest(475, 500).proportion_ci(0.95, method="wilson")
    assert tested["test_accuracy"] == 0.95
    assert tested["test_loss"] == 0.2
    assert tested["test_accuracy_95_low"] == pytest.approx(theirs.low)
    assert tested["test_accuracy_95_high"] == pytest.approx(theirs.high)

"""Scores by class against scikit-learn's."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from seqsweep.trial.classified import Classified


def logits_for(truth: np.ndarray, n_classes: int, seed: int, skill: float = 1.0) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(size=(len(truth), n_classes)).astype(np.float32)
    logits[np.arange(len(truth)), truth] += skill
    return logits


@pytest.fixture(params=["all classes", "one is never said", "one is never true"])
def case(request) -> tuple[np.ndarray, np.ndarray, int]:
    """Labels, logits and the number of classes."""
    truth = np.random.default_rng(1).integers(0, 7, 300).astype(np.int32)
    if request.param == "one is never true":
        truth[truth == 3] = 2
    logits = logits_for(truth, 7, 0)
    if request.param == "one is never said":
        logits[:, 4] = -50
    return truth, logits, 7


def test_precision_recall_and_confusion_are_scikit_learns(case):
    truth, logits, n_classes = case
    classified = Classified.of(truth, logits)
    labels = list(range(n_classes))
    said = np.argmax(logits, axis=1)
    precision, recall, *_ = precision_recall_fscore_support(
        truth, said, labels=labels, zero_division=0
    )
    np.testing.assert_allclose(classified.precision, precision, rtol=1e-12)
    np.testing.assert_allclose(classified.recall, recall, rtol=1e-12)
    assert classified.confusion.tolist() == confusion_matrix(truth, said, labels=labels).tolist()


def test_the_confidence_is_the_softmax_of_the_largest_logit_however_large():
    logits = np.array([[1.0, 2.0, 0.5], [1000.0, 0.0, 0.0]], np.float32)
    confidence = Classified.of(np.array([0, 0]), logits).confidence
    e = np.exp([1.0, 2.0, 0.5])
    assert confidence == pytest.approx([e[1] / e.sum(), 1.0])


def test_the_mistakes_are_the_wrong_ones_and_the_surest_stand_first():
    truth = np.random.default_rng(2).integers(0, 5, 200)
    classified = Classified.of(truth, logits_for(truth, 5, 3))
    wrong = [i for i in range(200) if classified.said[i] != truth[i]]
    by_confidence = sorted(wrong, key=lambda i: -classified.confidence[i])
    assert len(wrong) > 40
    assert classified.mistakes(40).tolist() == by_confidence[:40]
    assert classified.mistakes(1000).tolist() == by_confidence


def test_a_model_that_is_right_made_no_mistakes():
    truth = np.arange(5)
    assert Classified.of(truth, logits_for(truth, 5, 0, skill=100)).mistakes(40).tolist() == []

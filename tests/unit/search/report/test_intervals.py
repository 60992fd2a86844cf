"""The interval of a mean over seeds, against SciPy's own and against what it promises."""

import math

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial
from scipy import stats

from seqsweep.search import difference
from seqsweep.search.report.intervals import interval, paired


@pytest.mark.parametrize("n", [2, 3, 5, 40])
def test_it_is_that_of_scipys_t_test(n):
    values = np.random.default_rng(n).normal(0.9, 0.01, n).tolist()
    found, theirs = interval(values), stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert found.mean == pytest.approx(np.mean(values))
    assert found.mean - found.half_width == pytest.approx(theirs.low)
    assert found.mean + found.half_width == pytest.approx(theirs.high)


def test_it_holds_the_true_mean_in_95_of_100_cases():
    rng = np.random.default_rng(0)
    found = [interval(rng.normal(3, 2, 4).tolist()) for _ in range(4000)]
    share = np.mean([abs(one.mean - 3) <= one.half_width for one in found])
    assert share == pytest.approx(0.95, abs=0.012)


def test_a_single_value_says_nothing_of_its_spread():
    assert math.isnan(interval([0.5]).half_width)


def test_what_a_seed_shifts_in_both_cancels_out():
    first = {"0": 0.1, "1": 0.5, "2": 0.9}
    second = {seed: value + 0.01 for seed, value in first.items()}
    found = paired(first, second)
    assert found.mean == pytest.approx(0.01)
    assert found.half_width == pytest.approx(0, abs=1e-12)


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "studies.db"
    study = optuna.create_study(study_name="bias-1", storage=f"sqlite:///{path}")
    for bias, seeds in (
        (0.0, {"0": [0.90], "1": [0.92]}),
        (1.0, {"0": [0.92], "1": [0.93]}),
        (2.0, {}),
    ):
        study.add_trial(
            create_trial(
                state=TrialState.COMPLETE,
                value=0.9,
                params={"model.forget_bias": bias},
                distributions={"model.forget_bias": FloatDistribution(0, 2)},
                user_attrs={"values_by_seed": seeds} if seeds else {},
            )
        )
    return str(path)


def test_the_command_prints_both_means_and_their_paired_difference(store, capsys):
    assert difference.main([store, "bias-1", "0", "1"]) == 0
    half = stats.t.ppf(0.975, 1) * np.std([0.02, 0.01], ddof=1) / math.sqrt(2)
    assert capsys.readouterr().out.splitlines() == [
        "trial 0  forget_bias=0  0.9100 ± 0.1271",
        "trial 1  forget_bias=1  0.9250 ± 0.0635",
        f"difference  +0.0150 ± {half:.4f} (95%, 2 pairs of seeds)",
    ]


@pytest.mark.parametrize(
    ("study", "trial", "said"),
    [
        ("nosuch", "0", "has no study 'nosuch', it has: bias-1"),
        ("bias-1", "2", "no trial '2' that was completed under several seeds, it has: 0, 1"),
        ("bias-1", "x", "no trial 'x'"),
    ],
)
def test_a_study_or_trial_that_is_not_there_is_one_sentence(store, capsys, study, trial, said):
    assert difference.main([store, study, "1", trial]) == 1
    (sentence,) = capsys.readouterr().err.splitlines()
    assert sentence.startswith("error: ")
    assert said in sentence


def test_a_store_that_is_not_there_is_not_made(tmp_path, capsys):
    assert difference.main([str(tmp_path / "no.db"), "a", "0", "1"]) == 1
    assert "no.db does not exist" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_without_four_words_it_says_its_usage(capsys):
    assert difference.main(["a"]) == 2
    assert "STORE STUDY TRIAL TRIAL" in capsys.readouterr().err

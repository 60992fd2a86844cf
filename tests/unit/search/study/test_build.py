"""What a user writes for a class of Optuna's is checked by that class's own signature."""

import pytest
from optuna.pruners import BasePruner, MedianPruner
from optuna.samplers import BaseSampler

from seqsweep.errors import SearchError
from seqsweep.search.study.build import build, deal

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")

TPE = {"_target_": "optuna.samplers.TPESampler"}
MEDIAN = {"_target_": "optuna.pruners.MedianPruner"}
PATIENT = {"_target_": "optuna.pruners.PatientPruner", "patience": 2}


class Anything:
    """A user's own class, of which nothing is known."""

    def __init__(self, **given):
        self.given = given


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({**TPE, "n_startup_trails": 5}, "key.n_startup_trails=5: TPESampler has no such argument"),
        ({**TPE, "n_startup_trials": "many"}, "key.n_startup_trials='many': TPESampler takes int"),
        ({**TPE, "n_startup_trials": 2.5}, "key.n_startup_trials=2.5: TPESampler takes int"),
        ({**TPE, "multivariate": 1}, "key.multivariate=1: TPESampler takes bool | None"),
        ({**TPE, "group": True, "multivariate": False}, "key TPESampler cannot be built: "),
        ({"_target_": "no.such"}, "key._target_='no.such' names no class"),
        ({}, "key._target_=None names no class"),
        (MEDIAN, "key._target_='optuna.pruners.MedianPruner' is no BaseSampler"),
    ],
)
def test_a_wrong_sampler_is_refused_in_one_sentence_that_names_the_key(config, says):
    with pytest.raises(SearchError) as caught:
        build(config, BaseSampler, "key")
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (PATIENT, "key.wrapped_pruner is not set; PatientPruner needs it"),
        ({**PATIENT, "wrapped_pruner": "median"}, "takes BasePruner | None"),
        ({**PATIENT, "wrapped_pruner": TPE}, "takes BasePruner | None"),
        (
            {**PATIENT, "wrapped_pruner": {**MEDIAN, "patience": 1}},
            "key.wrapped_pruner.patience=1: MedianPruner has no such argument; it has n_startup",
        ),
        ({**MEDIAN, "n_warmup_steps": -1}, "cannot be negative"),
        ({"_target_": "optuna.pruners.ThresholdPruner"}, "lower or upper must be specified"),
        ({"_target_": "optuna.pruners.WilcoxonPruner", "p_threshold": 2.0}, "between 0 and 1"),
    ],
)
def test_a_wrong_pruner_is_refused_in_one_sentence_that_names_the_key(config, says):
    with pytest.raises(SearchError) as caught:
        build(config, BasePruner, "key")
    assert says in str(caught.value)
    assert str(caught.value).startswith("key")
    assert "\n" not in str(caught.value)


def test_what_a_config_holds_is_built_before_it():
    pruner = build({**PATIENT, "wrapped_pruner": MEDIAN}, BasePruner, "key")
    assert isinstance(pruner._wrapped_pruner, MedianPruner)


def test_a_class_that_takes_anything_gets_anything():
    config = {"_target_": f"{__name__}.Anything", "x": 1, "inner": MEDIAN}
    given = build(config, object, "key").given
    assert given["x"] == 1
    assert isinstance(given["inner"], MedianPruner)


def test_the_gp_sampler_says_what_to_install(monkeypatch):
    monkeypatch.setattr("seqsweep.search.study.build.find_spec", lambda name: None)
    with pytest.raises(SearchError, match="key GPSampler needs torch, which is not installed"):
        build({"_target_": "optuna.samplers.GPSampler"}, BaseSampler, "key")


def test_a_seed_is_dealt_to_every_class_that_takes_one():
    fixed = {"_target_": "optuna.samplers.PartialFixedSampler", "fixed_params": {"x": 1}}
    config = {**fixed, "base_sampler": {"_target_": "optuna.samplers.TPESampler", "seed": None}}
    dealt = deal(config, lambda _kind, own: 5 if own is None else own, "key")
    assert dealt == {**fixed, "base_sampler": {**config["base_sampler"], "seed": 5}}
    assert deal(dealt, lambda _kind, own: own + 1, "key")["base_sampler"]["seed"] == 6

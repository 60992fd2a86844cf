"""The fields of `hydra.sweeper` are checked one by one, and against each other."""

import pytest

from seqsweep.errors import ConfigError
from seqsweep.search.settings import Constraint


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"direction": "max"}, "hydra.sweeper.direction='max'"),
        ({"direction": []}, "direction"),
        ({"direction": ["minimize", "maximize"], "metric": ["a"]}, "metric"),
        ({"metric": ["a", "b"]}, "metric"),
        ({"direction": ["minimize", "maximize"], "target": 1.0}, "target"),
        ({"direction": ["minimize", "maximize"], "patience": 3}, "patience"),
        ({"constraints": ["size < 3"]}, "'size < 3' is no constraint"),
        ({"constraints": ["size <= much"]}, "'size <= much' is no constraint"),
        ({"enqueue": ["now"]}, "'now' is neither"),
        ({"enqueue": [3]}, "3 is neither"),
        ({"n_trials": 0}, "n_trials=0"),
        ({"n_trials": 2.5}, "n_trials=2.5"),
        ({"timeout": 0}, "timeout=0"),
        ({"target": "high"}, "target='high'"),
        ({"patience": 0}, "patience=0"),
        ({"max_failures": -1}, "max_failures=-1"),
        ({"max_failure_rate": 1.5}, "max_failure_rate=1.5"),
        ({"trial_timeout": -1}, "trial_timeout=-1"),
        ({"max_retries": -1}, "max_retries=-1"),
        ({"repeats": 0}, "repeats=0"),
        ({"skip_duplicates": "yes"}, "skip_duplicates='yes'"),
        ({"custom_search_space": "no.such.function"}, "custom_search_space"),
        ({"n_jobs": "all"}, "n_jobs='all'"),
    ],
)
def test_a_wrong_field_is_told_in_one_sentence_that_names_it(settings, fields, says):
    with pytest.raises(ConfigError) as caught:
        settings(**fields)
    assert says in str(caught.value)
    assert "hydra.sweeper" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value", "violation"),
    [("size <= 10", 12.0, 2.0), ("size <= 10", 10.0, 0.0), ("f1 score >= .5", 0.25, 0.25)],
)
def test_a_constraint_says_by_how_much_it_is_broken(text, value, violation):
    assert Constraint.read(text).violation(value) == violation


def test_the_objectives_are_called_by_the_metrics_where_there_are_some(settings):
    assert settings(metric="loss").names == ["loss"]
    assert settings(metric="loss").recorded_names == ["objective"]
    several = settings(direction=["minimize", "maximize"], metric=["loss", "f1"])
    assert several.names == ["loss", "f1"]
    assert several.recorded_names == ["objective_loss", "objective_f1"]
    unnamed = settings(direction=["minimize", "maximize"])
    assert unnamed.recorded_names == ["objective_value_0", "objective_value_1"]

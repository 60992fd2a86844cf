"""What reaches the task is what Optuna recorded, through Hydra's own composition."""

import optuna
import pytest
from hydra import compose, initialize
from hydra.core.config_store import ConfigStore
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from seqsweep.search.space.parameter import literal
from seqsweep.search.space.space import Space

texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12).filter(
    lambda text: "${" not in text and text == text.strip()
)
near_zero = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(
    [5e-324, -5e-324, 1e-300, -1e-9, 0.1 + 0.2, -0.0]
)
values = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | near_zero | texts


@pytest.fixture(scope="module")
def hydra():
    ConfigStore.instance().store(name="round_trip", node={"x": None, "y": None})
    with initialize(version_base="1.3", config_path=None):
        yield


@settings(deadline=None, max_examples=150)
@given(st.lists(values, min_size=1, max_size=4, unique_by=lambda v: v == v and v), st.booleans())
def test_each_value_of_a_choice_reaches_the_task_as_it_was_recorded(hydra, categories, in_file):
    written = ", ".join(map(literal, categories))
    if None not in categories:  # Hydra's choice() takes no null
        written = f"choice({written})"
    assume(len(categories) > 1 or categories != [None])
    params, arguments = ({"x": written}, []) if in_file else ({}, [f"x={written}"])
    space = Space.read(params, arguments, None)
    study = optuna.create_study()
    for category in categories:
        study.enqueue_trial({"x": category})
        given_values = space.suggest(trial := study.ask())
        config = compose("round_trip", overrides=space.overrides(given_values))
        assert config.x == trial.params["x"] == category
        assert type(config.x) is type(category)


@settings(deadline=None, max_examples=60)
@given(
    st.floats(-1e12, 1e12),
    st.floats(0, 1e6),
    st.integers(-(10**9), 10**9),
    st.integers(0, 10**6),
    st.integers(0, 2**31),
)
def test_each_number_of_an_interval_reaches_the_task_to_the_last_bit(
    hydra, low, width, least, count, seed
):
    lines = [
        f"x=interval({literal(low)}, {literal(low + width)})",
        f"y=int(interval({least}, {least + count}))",
    ]
    space = Space.read({}, lines, None)
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()
    config = compose("round_trip", overrides=space.overrides(space.suggest(trial)))
    assert OmegaConf.to_container(config) == trial.params
    assert type(config.x) is float
    assert type(config.y) is int

"""The space reads Hydra's grammar as Hydra documents it, and writes values back without loss."""

import math
from fractions import Fraction

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from seqsweep.errors import SearchError
from seqsweep.search.space.parameter import literal
from seqsweep.search.space.space import Space


def read(*lines: str, params: dict | None = None) -> Space:
    return Space.read(params or {}, list(lines), None)


def distribution(text: str):
    (parameter,) = read(f"x={text}").parameters
    return parameter.distribution


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("interval(0, 2)", FloatDistribution(0.0, 2.0)),
        ("interval(-1.5, 2)", FloatDistribution(-1.5, 2.0)),
        ("interval(3, 3)", FloatDistribution(3.0, 3.0)),
        ("int(interval(1, 8))", IntDistribution(1, 8)),
        ("tag(log, interval(1e-4, 1e-1))", FloatDistribution(1e-4, 1e-1, log=True)),
        ("tag(log, int(interval(32, 256)))", IntDistribution(32, 256, log=True)),
        ("int(tag(log, interval(32, 256)))", IntDistribution(32, 256, log=True)),
        ("range(1, 5)", IntDistribution(1, 4)),
        ("range(4)", IntDistribution(0, 3)),
        ("range(1, 10, 3)", IntDistribution(1, 7, step=3)),
        ("range(10, 1, -3)", IntDistribution(4, 10, step=3)),
        ("range(0, 1, 0.25)", FloatDistribution(0.0, 0.75, step=0.25)),
        ("choice(1, 2)", CategoricalDistribution([1, 2])),
        ("1,2,4", CategoricalDistribution([1, 2, 4])),
        ("true, null, 0.5", CategoricalDistribution([True, None, 0.5])),
        ("choice(a, 'b c', \"d,e\")", CategoricalDistribution(["a", "b c", "d,e"])),
        ("choice(relu)", CategoricalDistribution(["relu"])),
    ],
)
def test_each_form_of_the_grammar_is_read_as_its_distribution(text, expected):
    assert distribution(text) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("interval(2, 1)", "swapped"),
        ("tag(log, interval(0, 1))", "above 0"),
        ("tag(log, int(interval(-3, 8)))", "above 0"),
        ("range(5, 1)", "empty"),
        ("range(1, 1)", "empty"),
        ("range(0, 1, 0)", "step"),
        ("tag(log, range(1, 8))", "no log scale"),
        ("choice()", "no Hydra override"),
        ("choice(1, 1)", "twice"),
        ("choice(1, nan)", "nan"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused_in_one_sentence(text, says):
    with pytest.raises(SearchError) as caught:
        read(f"x={text}")
    assert says in str(caught.value)
    assert "x=" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_command_line_overrules_the_sweep_file_key_by_key():
    params = {"a": "choice(1, 2)", "b": "interval(0, 1)", "c": "3"}
    space = read("b=0.5", "c=choice(5, 6)", "d=7", params=params)
    assert [(p.key, p.text) for p in space.parameters] == [
        ("a", "a=choice(1, 2)"),
        ("c", "c=choice(5, 6)"),
    ]
    assert space.fixed == ("b=0.5", "d=7")


values = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20).filter(
        lambda text: "${" not in text
    )
)


@given(values)
def test_a_value_written_as_an_override_is_read_back_as_the_same_value(value):
    override = OverridesParser.create().parse_override(f"x={literal(value)}")
    read_back = override.value()
    assert read_back == value
    assert type(read_back) is type(value)


def test_a_list_in_a_choice_reaches_hydra_as_it_was_written():
    (parameter,) = read("x=choice([1,2],[3])").parameters
    assert parameter.distribution.choices == ("[1,2]", "[3]")
    assert parameter.override("[1,2]") == "x=[1,2]"


@given(
    st.integers(-50, 50),
    st.integers(-50, 50),
    st.integers(-7, 7).filter(bool),
)
def test_an_integer_range_holds_exactly_the_values_of_pythons_range(start, stop, step):
    expected = sorted(range(start, stop, step))
    if not expected:
        with pytest.raises(SearchError):
            read(f"x=range({start},{stop},{step})")
        return
    (parameter,) = read(f"x=range({start},{stop},{step})").parameters
    assert parameter.grid() == expected


@given(
    st.integers(-20, 20),
    st.fractions(min_value=0, max_value=5, max_denominator=20).filter(bool),
    st.sampled_from(["0.1", "0.25", "0.3", "1.5"]),
)
def test_a_float_range_holds_the_multiples_of_its_step_below_its_stop(start, length, step):
    stop = round(float(start + length), 3)
    exact = Fraction(step)
    count = math.ceil((Fraction(str(stop)) - start) / exact)
    (parameter,) = read(f"x=range({start}.0,{stop},{step})").parameters
    assert parameter.grid() == [float(start + i * exact) for i in range(count)]


def test_an_endless_grid_is_refused_by_the_name_of_its_parameter():
    with pytest.raises(SearchError, match=r"x=interval\(0, 1\)"):
        read("y=choice(1,2)", "x=interval(0, 1)").points()


def test_the_corners_of_a_space_show_each_end_and_each_category():
    space = read("a=interval(0, 1)", "b=choice(x, y, z)", "c=int(interval(4, 8))")
    corners = list(space.corners())
    assert {c["a"] for c in corners} == {0.0, 1.0}
    assert [c["b"] for c in corners] == ["x", "y", "z"]
    assert {c["c"] for c in corners} == {4, 8}


def test_what_a_trial_is_given_is_what_optuna_records():
    space = read("a=interval(0, 1)", "b='1',1.5,null", "c=range(2, 9, 3)")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):
        trial = study.ask()
        assert space.suggest(trial) == trial.params


MODELS = {
    "model": "choice(lstm, gru, none)",
    "bias": {"when": {"model": "lstm"}, "values": "interval(0, 2)"},
    "depth": {"when": {"model": ["lstm", "gru"]}, "values": "range(1, 4)"},
    "gap": {"when": {"depth": [2, 3], "model": "gru"}, "values": "choice(true, false)"},
    "epochs": {"when": {"model": "none"}, "values": 1},
}


@given(st.integers(0, 2**31))
def test_a_parameter_exists_exactly_when_its_condition_holds(seed):
    space = read(params=MODELS)
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()
    values = space.suggest(trial)
    assert values == trial.params
    assert ("bias" in values) == (values["model"] == "lstm")
    assert ("depth" in values) == (values["model"] in ("lstm", "gru"))
    assert ("gap" in values) == (values["model"] == "gru" and values["depth"] >= 2)
    assert ("epochs" in values) == (values["model"] == "none")
    assert space.overrides(values) == [f"{k}={literal(v)}" for k, v in values.items()]


def test_the_grid_of_a_conditional_space_has_each_point_once():
    params = {**MODELS, "bias": {**MODELS["bias"], "values": "0,1"}}
    points = read(params=params).points()
    expected = [{"model": "lstm", "bias": b, "depth": d} for b in (0, 1) for d in (1, 2, 3)]
    expected += [{"model": "gru", "depth": 1}]
    expected += [{"model": "gru", "depth": d, "gap": g} for d in (2, 3) for g in (True, False)]
    expected += [{"model": "none", "epochs": 1}]
    assert sorted(map(repr, map(sorted, map(dict.items, points)))) == sorted(
        map(repr, map(sorted, map(dict.items, expected)))
    )


def test_the_corners_of_a_conditional_space_show_each_end_of_each_parameter():
    corners = list(read(params=MODELS).corners())
    shown = {(name, value) for corner in corners for name, value in corner.items()}
    assert {("bias", 0.0), ("bias", 2.0), ("depth", 1), ("depth", 3)} <= shown
    assert {("gap", True), ("gap", False), ("epochs", 1)} <= shown


def test_a_parent_may_be_written_behind_its_children():
    params = {"bias": MODELS["bias"], "x": "interval(0, 1)", "model": "choice(lstm, gru)"}
    names = [p.name for p in read(params=params).parameters]
    assert names.index("model") < names.index("bias")


def test_without_conditions_the_parameters_stand_as_they_were_written():
    names = list("zyxabc")
    assert [p.name for p in read(*(f"{n}=1,2" for n in names)).parameters] == names


def test_the_command_line_changes_values_and_not_when_they_count():
    space = read("bias=interval(5, 6)", "model=lstm,gru", params=MODELS)
    (bias,) = [p for p in space.parameters if p.name == "bias"]
    assert (bias.distribution.low, bias.distribution.high) == (5, 6)
    assert "epochs" not in {p.name for p in space.parameters}
    assert bias.exists({"model": "lstm"})
    assert not bias.exists({"model": "gru"})


def test_a_parent_that_is_set_to_one_value_decides_once_for_all_trials():
    space = read("model=gru", params=MODELS)
    assert [p.name for p in space.parameters] == ["depth", "gap"]
    assert space.fixed == ("model=gru",)
    (depth, _) = space.parameters
    assert depth.exists({})


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"a": {"when": {"b": 1}, "values": "1,2"}}, "neither searched nor set"),
        ({"a": {"values": "1,2"}}, "when"),
        ({"a": {"when": "b", "values": "1,2"}}, "when"),
        ({"b": "1,2", "a": {"when": {"b": 3}, "values": "1,2"}}, "3 is no value of b=1,2"),
        (
            {
                "a": {"when": {"b": 1}, "values": "1,2"},
                "b": {"when": {"a": 1}, "values": "1,2"},
            },
            "depend on each other",
        ),
    ],
)
def test_a_condition_that_cannot_be_is_refused_in_one_sentence(params, says):
    with pytest.raises(SearchError) as caught:
        read(params=params)
    assert says in str(caught.value)
    assert "hydra.sweeper.params" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "params",
    [
        {
            "kind": "a,b",
            "sub": {"when": {"kind": "b"}, "values": "1,2"},
            "deep": {"when": {"sub": 1, "kind": ["a", "b"]}, "values": "5,6"},
        },
        {
            "kind": "a,b,c",
            "x": {"when": {"kind": ["a", "b"]}, "values": "1,2"},
            "y": {"when": {"kind": ["c", "b"]}, "values": "1,2"},
            "z": {"when": {"x": 1, "y": 1}, "values": "5,6"},
        },
    ],
    ids=["a narrower ancestor", "two parents of one ancestor"],
)
def test_a_parameter_that_can_exist_is_among_the_corners(params):
    space = read(params=params)
    deepest = space.parameters[-1].name
    assert {corner[deepest] for corner in space.corners() if deepest in corner} == {5, 6}


def test_parameters_stand_as_they_were_written_but_parents_first():
    params = {
        "c": {"when": {"p": 1}, "values": "1,2"},
        "p": "1,2",
        "d": {"when": {"p": 2}, "values": "1,2"},
        "q": "1,2",
    }
    assert [p.name for p in read(params=params).parameters] == ["p", "c", "d", "q"]


def test_a_list_of_a_choice_can_be_named_as_a_known_value():
    (parameter,) = read("x=choice([1,2],[3])").parameters
    assert parameter.read([1, 2]) == "[1,2]"


def test_a_condition_that_no_values_fulfil_is_refused():
    params = {
        "a": "1,2",
        "b": {"when": {"a": 1}, "values": "1,2"},
        "c": {"when": {"a": 2, "b": 1}, "values": "1,2"},
    }
    with pytest.raises(SearchError, match="c=1,2 can never be"):
        list(read(params=params).corners())


@pytest.mark.parametrize(
    ("text", "value", "read_as"),
    [
        ("1,2", 2, 2),
        ("true,1.5", True, True),
        ("a,'1'", "1", "1"),
        ("interval(0, 1)", 1, 1.0),
        ("int(interval(0, 4))", 3, 3),
        ("range(0, 9, 3)", 6, 6),
        ("range(0, 1, 0.1)", 0.3, 0.3),
    ],
)
def test_a_known_value_is_read_as_the_parameter_has_it(text, value, read_as):
    (parameter,) = read(f"x={text}").parameters
    assert parameter.read(value) == read_as
    assert type(parameter.read(value)) is type(read_as)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0,2", False),
        ("1,2", "1"),
        ("interval(0, 1)", 1.5),
        ("interval(0, 1)", True),
        ("int(interval(0, 4))", 2.0),
        ("range(0, 9, 3)", 5),
        ("range(0, 1, 0.25)", 0.3),
        ("interval(0, 1)", None),
    ],
)
def test_a_value_outside_of_a_parameter_is_refused(text, value):
    (parameter,) = read(f"x={text}").parameters
    with pytest.raises(SearchError, match="is no value of x="):
        parameter.read(value)

"""Every named sampler keeps the same promises over every kind of parameter, on any number of slots.

Trials are asked for as the worker asks for them, without what trains between.
"""

import math
import threading
import time
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.utils import get_class
from omegaconf import OmegaConf

from hydra_plugins.seqsweep_sweeper import OPTIONS
from seqsweep.errors import SearchError
from seqsweep.search.space.points import PointSampler, in_order, tries_all
from seqsweep.search.space.space import Space
from seqsweep.search.study.store.opening import open_storage
from seqsweep.search.study.study import (
    make_pruner,
    make_sampler,
    sampler_class,
    silence_optuna,
)

SAMPLERS = OPTIONS["sampler"]
EXHAUSTIVE = ("grid", "brute_force")
SEED, N_TRIALS = 7, 14

# A parameter of each kind, and what its values are.
KINDS: dict[str, tuple[str, Callable]] = {
    "strings": ("choice(adam,'a b',\"1\")", lambda v: v in ("adam", "a b", "1")),
    "numbers": ("choice(1,2.5,64)", lambda v: v in (1, 2.5, 64) and type(v) in (int, float)),
    "bools": ("choice(true,false)", lambda v: type(v) is bool),
    "null": ("null,3", lambda v: v is None or (type(v) is int and v == 3)),
    "int interval": ("int(interval(-3,8))", lambda v: type(v) is int and -3 <= v <= 8),
    "log int interval": (
        "tag(log,int(interval(1,32)))",
        lambda v: type(v) is int and 1 <= v <= 32,
    ),
    "float interval": ("interval(-1,2)", lambda v: type(v) is float and -1 <= v <= 2),
    "log float interval": (
        "tag(log,interval(1e-5,1e-1))",
        lambda v: type(v) is float and 1e-5 <= v <= 1e-1,
    ),
    "int range": ("range(0,10,3)", lambda v: type(v) is int and v in (0, 3, 6, 9)),
    "float range": (
        "range(0.1,0.6,0.1)",
        # Optuna counts its steps in binary: 0.1 + 2 * 0.1 is 0.30000000000000004
        lambda v: type(v) is float and any(math.isclose(v, tenths / 10) for tenths in range(1, 6)),
    ),
}
ENDLESS = {"float interval", "log float interval"}
CHOICES = {"strings", "numbers", "bools", "null"}
REFUSED = {(name, kind) for name in EXHAUSTIVE for kind in ENDLESS}

needs_torch = pytest.mark.skipif(
    find_spec("torch") is None, reason="sampler gp needs torch, which is no dependency: too large"
)


def named(name: str, *values):
    return pytest.param(name, *values, marks=needs_torch if name == "gp" else ())


every_sampler = pytest.mark.parametrize("name", [named(name) for name in SAMPLERS])
every_case = pytest.mark.parametrize(
    ("name", "kind"),
    [named(n, k) for n in SAMPLERS for k in KINDS if (n, k) not in REFUSED],
)
one_and_several_slots = pytest.mark.parametrize("n_slots", [1, 3])


@pytest.fixture(autouse=True)
def _quiet():
    silence_optuna()


def read(*lines: str) -> Space:
    return Space.read({}, list(lines), None)


def space_of(kind: str) -> Space:
    return read(f"x={KINDS[kind][0]}", "y=range(0,4)")


def cost(values: dict) -> float:
    x = values["x"]
    return values["y"] + (float(x) if isinstance(x, int | float) else len(str(x)))


def sweep(
    name: str, space: Space, n_slots: int, *, seed: int | None = SEED, pruner: str = "none"
) -> list:
    """Runs a study and gives what each trial suggested and what is recorded of it, by number."""
    kind = sampler_class(SAMPLERS[name])
    n_trials = len(space.points()) if name in EXHAUSTIVE else N_TRIALS
    study = optuna.create_study(
        study_name="contract",
        sampler=make_sampler(SAMPLERS[name], space, seed=seed, n_slots=n_slots),
        pruner=make_pruner(OPTIONS["pruner"][pruner]),
    )
    if tries_all(kind):
        study.sampler = PointSampler(in_order(kind, space, seed), study)
    suggesting, judging, suggested = threading.Lock(), threading.Lock(), {}
    n_slots = min(n_slots, n_trials)

    def objective(trial: optuna.Trial) -> float:
        with suggesting:
            values = suggested[trial.number] = space.suggest(trial)
        while any(number not in suggested for number in range(max(n_slots, trial.number))):
            time.sleep(0.001)  # as training does, it lasts until those before it have begun
        for step in range(1, 5):
            trial.report(cost(values), step)
            with judging:
                if trial.should_prune():
                    raise optuna.TrialPruned
        return cost(values)

    study.optimize(objective, n_trials=n_trials, n_jobs=n_slots)
    assert [trial.number for trial in study.trials] == list(range(n_trials))
    return [(suggested[trial.number], trial.params) for trial in study.trials]


@cache
def swept(name: str, kind: str, n_slots: int) -> list:
    return sweep(name, space_of(kind), n_slots)


def recorded(trials: list) -> list[dict]:
    return [params for _, params in trials]


@one_and_several_slots
@every_case
def test_values_lie_in_the_parameters_space(name, kind, n_slots):
    for values, _ in swept(name, kind, n_slots):
        assert KINDS[kind][1](values["x"]), values
        assert values["y"] in (0, 1, 2, 3)


@one_and_several_slots
@every_case
def test_the_value_that_reaches_the_config_is_the_one_recorded(name, kind, n_slots):
    parser, space = OverridesParser.create(), space_of(kind)
    for values, params in swept(name, kind, n_slots):
        config = OmegaConf.create({"x": "before", "y": "before"})
        for override in parser.parse_overrides(space.overrides(values)):
            OmegaConf.update(config, override.get_key_element(), override.value())
        assert dict(config) == params
        assert [type(config[key]) for key in params] == list(map(type, params.values()))


@every_case
def test_one_slot_and_one_seed_give_the_same_trials_each_time(name, kind):
    assert recorded(sweep(name, space_of(kind), 1)) == recorded(swept(name, kind, 1))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        named(n, k) for n in SAMPLERS if n not in EXHAUSTIVE for k in KINDS if (n, k) not in REFUSED
    ],  # the points of a grid and of brute force wait, in an order of their own
)
def test_one_slot_and_one_seed_give_the_trials_of_optuna_used_directly(name, kind):
    arguments = {key: value for key, value in SAMPLERS[name].items() if key != "_target_"}
    sampler = get_class(SAMPLERS[name]["_target_"])(**{**arguments, "seed": SEED})
    study, space = optuna.create_study(sampler=sampler), space_of(kind)
    study.optimize(lambda trial: cost(space.suggest(trial)), n_trials=N_TRIALS)
    assert [trial.params for trial in study.trials] == recorded(swept(name, kind, 1))


@every_case
def test_several_slots_and_one_seed_deal_what_no_other_trial_taught_each_time_alike(name, kind):
    """What a sampler learns from trials that have ended depends on which have, and so on timing.

    Nothing is claimed of QMC: a trial's place in the sequence depends on who was there first.
    """
    option = SAMPLERS[name]
    learns_after = option.get("n_startup_trials", option.get("population_size", 0))
    untaught = max(learns_after, 3) if learns_after else 0
    if name in (*EXHAUSTIVE, "random"):
        untaught = None
    first, again = swept(name, kind, 3), sweep(name, space_of(kind), 3)
    assert recorded(first)[:untaught] == recorded(again)[:untaught]


@pytest.mark.parametrize("name", [named(name) for name in SAMPLERS if name != "grid"])
def test_another_seed_gives_other_trials(name):
    space = read("x=range(0,10)", "y=range(0,10)")
    for n_slots in (1, 3):
        one, other = (recorded(sweep(name, space, n_slots, seed=seed)) for seed in (1, 2))
        assert one != other


@every_sampler
def test_several_slots_without_a_seed_get_trials_that_differ(name):
    trials = recorded(sweep(name, read("x=range(0,40)", "y=range(0,3)"), 3, seed=None))[:8]
    assert len({tuple(params.values()) for params in trials}) > 4


@one_and_several_slots
@pytest.mark.parametrize("kind", sorted(set(KINDS) - ENDLESS))
@pytest.mark.parametrize("name", EXHAUSTIVE)
def test_each_point_is_run_exactly_once(name, kind, n_slots):
    points = [tuple(params.values()) for params in recorded(swept(name, kind, n_slots))]
    sizes = {p.name: len(p.grid()) for p in space_of(kind).parameters}
    assert len(points) == len(set(points)) == sizes["x"] * sizes["y"]


def test_more_slots_than_points_run_no_point_twice():
    for name in EXHAUSTIVE:
        trials = recorded(sweep(name, read("x=1,2", "y=0,1"), 8))
        assert sorted(tuple(params.values()) for params in trials) == [
            (1, 0),
            (1, 1),
            (2, 0),
            (2, 1),
        ]


def test_several_slots_take_each_place_of_a_quasi_random_sequence_once(tmp_path):
    """16 places of a Sobol sequence lie one in each sixteenth of an axis."""
    space = read("x=interval(0,1)", "y=interval(0,1)")
    sampler = make_sampler(SAMPLERS["qmc"], space, seed=SEED, n_slots=4)
    storage = open_storage(str(tmp_path / "s.db"), grace_period=60)
    study = optuna.create_study(sampler=sampler, storage=storage)
    study.optimize(lambda trial: cost(space.suggest(trial)), n_trials=1)
    study.optimize(lambda trial: cost(space.suggest(trial)), n_trials=16, n_jobs=4)
    for axis in ("x", "y"):
        cells = sorted(int(trial.params[axis] * 16) for trial in study.trials[1:])
        assert cells == list(range(16))


@one_and_several_slots
@every_sampler
def test_every_sampler_works_beside_hyperband(name, n_slots):
    """Hyperband hands samplers a part of the study only, which has not all that a study has."""
    assert len(sweep(name, read("x=range(0,8)", "y=range(0,3)"), n_slots, pruner="hyperband")) > 1


def refusal(name: str, text: str) -> str | None:
    try:
        make_sampler(SAMPLERS[name], read(f"x={text}"), seed=SEED)
    except SearchError as error:
        return str(error)
    return None


@every_sampler
def test_a_sampler_refuses_what_it_cannot_search_and_nothing_else(name):
    said = {kind: refusal(name, text) for kind, (text, _) in KINDS.items()}
    refused = {kind: why for kind, why in said.items() if why is not None}
    expected = {"grid": ENDLESS, "brute_force": ENDLESS, "cmaes": CHOICES}.get(name, set())
    assert refused.keys() == expected
    for kind, why in refused.items():
        assert f"x={KINDS[kind][0]}" in why
        assert "hydra/sweeper/sampler=tpe" in why
        assert "\n" not in why


def test_groups_change_nothing_for_tpe_where_every_trial_has_every_parameter():
    """The option has them for spaces in which a parameter exists only with some values."""
    trials = []
    for group in (True, False):
        config = {**SAMPLERS["tpe"], "group": group}
        space = read(*(f"p{i}={text}" for i, (text, _) in enumerate(KINDS.values())))
        study = optuna.create_study(sampler=make_sampler(config, space, seed=SEED))
        study.optimize(lambda t, space=space: cost({"x": 0, "y": space.suggest(t)["p4"]}), 24)
        trials.append([trial.params for trial in study.trials])
    assert trials[0] == trials[1]

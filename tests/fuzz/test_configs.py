"""Whatever a user writes into a config, a sweep file or an override is read, or told of in a line.

Nothing here starts a program: Hydra composes and the readers read in this process.
"""

import contextlib
import itertools
import shutil
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from seqsweep.arguments import check_the_sweep, in_hydras_words, is_hydras, told
from seqsweep.config import read
from seqsweep.errors import UserError
from seqsweep.record import flatten
from seqsweep.search.settings import Settings
from seqsweep.search.space.space import Space

ROOT = Path(__file__).resolve().parent.parent.parent
few = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
many = settings(max_examples=200, deadline=None)


@pytest.fixture(scope="module")
def conf(tmp_path_factory):
    """A copy of the project's configs, in which Hydra composes."""
    folder = tmp_path_factory.mktemp("fuzz")
    for name in ("conf", "sweeps"):
        shutil.copytree(ROOT / name, folder / name, symlinks=True)
    ConfigStore.instance().store(name="project", node={"root": str(folder)})
    with initialize_config_dir(str(folder / "conf"), version_base="1.3"):
        yield folder / "conf"
    GlobalHydra.instance().clear()


def told_in_one_line(text: str) -> None:
    assert text.strip()
    assert len(text.splitlines()) == 1, text


def run_or_told(steps) -> None:
    """Calls `steps`; what they raise must be what a user is told of in one line."""
    try:
        steps()
    except UserError as error:
        told_in_one_line(str(error))
    except SystemExit as error:
        told_in_one_line(str(error.code))
    except Exception as error:
        if not is_hydras(error):  # as `run_or_tell` has it
            raise
        told_in_one_line(told(error))


KEYS = """
    seed objective root sweep data model optimizer training tracking devices
    model.n_hidden model.name model.dropout model.n_layers model.bidirectional model.kernel_size
    model._target_ model.width data.function data.name data.dir data.n_validation
    training.epochs training.batch_size training.training_iters training.display
    optimizer.learning_rate tracking.uri tracking.hidden tracking.dir devices.threads
    devices.slots devices.gpu_memory
    hydra.sweeper hydra.sweeper.n_trials hydra.sweeper.params hydra.sweeper.sampler
    hydra/sweeper hydra/sweeper/sampler hydra.sweeper.direction hydra.sweeper.enqueue
    hydra.sweeper.constraints hydra.sweeper.storage hydra.sweeper.n_jobs
""".split()  # noqa: SIM905 - a table
VALUES = r"""
    [gpu:0,cpu] [gpu]
    null true 0 -1 1e999 -inf nan 0x10 1_000 99999999999999999999999 [] {} '' '???' ???
    ${seed} ${nosuch} ${oc.env:NOSUCH} ${model} lstm gru conv1d function idx [1,2] {a:1}
    {a:{b:[{}]}} a,b choice(1,2) interval(0,1) interval(nan,1) range(0,1e300,1e-300) glob(*) int(a)
    sqlite:// http://u:p@h/ /dev/zero ../.. [[[[[[]]]]]] '${' \ é
""".split()  # noqa: SIM905
VALUES += ["\x00", "\ud83d", "a b"]
garbage = st.text(max_size=12)
keys = st.one_of(st.sampled_from(KEYS), garbage)
values = st.one_of(st.sampled_from(VALUES), garbage, st.floats().map(str), st.integers().map(str))
overrides = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "+", "++", "~"]),
    keys,
    st.sampled_from(["=", ""]),
    values,
)


@given(st.lists(overrides, min_size=1, max_size=3))
@example(["hydra.sweeper=null"])
@example(["++hydra.sweeper=1"])
@few
def test_any_overrides_are_read_or_told_of(conf, lines):
    def steps():
        _program, _multirun, *words = in_hydras_words(["run.py", "-m", *lines])
        config = compose("config", overrides=words, return_hydra_config=True)
        sweeper = {k: v for k, v in config.hydra.sweeper.items() if not k.startswith("_")}
        OmegaConf.set_struct(config, False)
        del config["hydra"]
        read(config)
        Settings.read(sweeper)

    run_or_told(steps)


WORDS = ["choice(", "interval(", "range(", "int(", "float(", "str(", "tag(", "log,", "glob(", ")"]
WORDS += ["sort(", "shuffle(", "extend_list(", "1", "0", "-1", "1e-3", "1e400", "nan", "inf", ","]
WORDS += [
    "a",
    "'b c'",
    '"',
    "[",
    "]",
    "{",
    "}",
    ":",
    "null",
    "true",
    "${x}",
    "step=",
    " ",
    "x=",
    "é",
]
spaces = st.lists(st.sampled_from(WORDS), max_size=9).map("".join)


@given(space=spaces, in_file=st.booleans())
@many
def test_any_text_is_a_space_or_told_of(space, in_file):
    def steps():
        read_space = Space.read(*(({"x": space}, []) if in_file else ({}, [f"x={space}"])), None)
        for values in itertools.islice(read_space.corners(), 5):
            read_space.overrides(values)
        for parameter in read_space.parameters:
            for value in (0, 1.5, "a"):
                with contextlib.suppress(UserError):
                    parameter.read(value)
        read_space.points()

    run_or_told(steps)


junk = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), spaces),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(params=st.dictionaries(st.sampled_from(["a", "b.c", "+d", "when", ""]), junk, max_size=3))
@many
def test_any_values_in_params_are_a_space_or_told_of(params):
    run_or_told(lambda: Space.read(params, [], None))


SWEEPS = {path.name: yaml.safe_load(path.read_text()) for path in (ROOT / "sweeps").glob("*.yaml")}


def places(values, path=()):
    yield path
    children = values.items() if isinstance(values, dict) else []
    for key, value in children:
        yield from places(value, (*path, key))


@st.composite
def mutated_sweeps(draw):
    """One of the project's sweep files with a key renamed, a value changed or a part taken out."""
    values = yaml.safe_load(yaml.safe_dump(SWEEPS[draw(st.sampled_from(sorted(SWEEPS)))]))
    for _ in range(draw(st.integers(1, 2))):
        *path, last = draw(st.sampled_from([path for path in places(values) if path]))
        parent = values
        for key in path:
            parent = parent[key]
        value = parent.pop(last)
        match draw(st.sampled_from(["rename", "replace", "remove", "nest"])):
            case "rename":
                parent[draw(st.text(max_size=6))] = value
            case "replace":
                parent[last] = draw(junk)
            case "nest":
                for _ in range(draw(st.integers(1, 40))):
                    value = {last: value}
                parent[last] = value
    return "# @package _global_\n" + yaml.safe_dump(values, allow_unicode=draw(st.booleans()))


def compose_the_sweep(conf, text: str) -> None:
    path = conf.parent / "sweeps" / "fuzzed.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))

    def steps():
        check_the_sweep(path.parent, ["run.py", "-m", "sweep=fuzzed"])
        config = compose("config", overrides=["sweep=fuzzed"], return_hydra_config=True)
        sweeper = {k: v for k, v in config.hydra.sweeper.items() if not k.startswith("_")}
        found = Settings.read(sweeper)
        Space.read(found.params or {}, [], None)
        OmegaConf.set_struct(config, False)
        del config["hydra"]
        flatten(OmegaConf.to_container(config, resolve=False))
        read(config)

    run_or_told(steps)


@given(text=mutated_sweeps())
@few
def test_a_sweep_file_with_anything_changed_is_read_or_told_of(conf, text):
    compose_the_sweep(conf, text)


@given(text=st.text(max_size=80))
@few
def test_any_text_as_a_sweep_file_is_read_or_told_of(conf, text):
    compose_the_sweep(conf, text)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5000,
        "a: " + "{b: " * 3000,
        "!!python/object/apply:os.system ['touch executed']",
        "a: !!python/name:os.system",
        "a: &a [*a]",
        "? [1, 2]\n: 3",
        "1: 2",
        "- a\n- b",
        "just words",
        "a: 2026-02-30",
        "a: 0o9\nb: !!binary x",
        "hydra: 3",
        "hydra: {sweeper: 3}",
        "hydra: {sweeper: {params: [1]}}",
        "defaults: 3",
        "defaults: [3]",
        "defaults: [{a: {b: 1}}]",
        "\ufeffa: 1",
        "a: 1\x00",
        "\tb: 1",
    ],
    ids=range(20),
)
def test_a_hostile_sweep_file_is_told_of(conf, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    compose_the_sweep(conf, f"# @package _global_\n{text}")
    assert list(tmp_path.iterdir()) == []

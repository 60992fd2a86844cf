"""Defaults stand in YAML, types in dataclasses, and neither has what the other lacks."""

import dataclasses
import typing
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from seqsweep import config as config_module
from seqsweep.config import Config, keys_of, read
from seqsweep.config.reading import NAMED
from seqsweep.errors import ConfigError

CONF = Path(__file__).resolve().parent.parent.parent / "conf"

SECTIONS = {
    "data/mnist_5k": config_module.Mnist5kConfig,
    "data/mnist": config_module.DownloadConfig,
    "data/fashion_mnist": config_module.DownloadConfig,
    "data/idx": config_module.IdxConfig,
    "data/npz": config_module.NpzConfig,
    "model/lstm": config_module.LstmConfig,
    "data/function": config_module.DataFunctionConfig,
    "model/gru": config_module.GruConfig,
    "model/conv1d": config_module.Conv1dConfig,
    "model/function": config_module.ModelFunctionConfig,
    "optimizer/adam": config_module.AdamConfig,
    "training/default": config_module.TrainingConfig,
    "tracking/mlflow": config_module.TrackingConfig,
    "tracking/none": config_module.TrackingConfig,
    "devices/auto": config_module.DevicesConfig,
    "devices/cpu": config_module.DevicesConfig,
    "devices/gpu": config_module.DevicesConfig,
}


def composed(*overrides: str):
    ConfigStore.instance().store(name="project", node={"root": "/project"})
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", overrides=list(overrides))


@pytest.mark.parametrize("name", SECTIONS)
def test_each_yaml_file_sets_exactly_the_fields_of_its_dataclass(name):
    keys = set(OmegaConf.load(CONF / f"{name}.yaml"))
    fields = {field.name for field in dataclasses.fields(SECTIONS[name])}
    if name == "model/function":  # Hydra's word, and the keys that a user adds
        fields = fields - {"target", "values"} | {config_module.TARGET}
    assert keys == fields


def test_no_yaml_file_lacks_its_dataclass():
    files = {str(p.relative_to(CONF).with_suffix("")) for p in CONF.glob("*/*.yaml")}
    sections = {name for name in files if not name.startswith(("experiment/", "sweep/"))}
    assert sections == set(SECTIONS)


def test_no_dataclass_has_a_default_beside_the_one_in_yaml():
    for kind in {Config, *SECTIONS.values()}:
        for field in dataclasses.fields(kind):
            assert field.default is dataclasses.MISSING, f"{kind.__name__}.{field.name}"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.n_hidden", 128),
        ("model.forget_bias", 1.0),
        ("model.products", "float32"),
        ("optimizer.learning_rate", 0.001),
        ("training.batch_size", 128),
        ("training.epochs", 5),
        ("training.training_iters", None),
        ("data.n_validation", 500),
        ("tracking.uri", None),
        ("seed", 0),
    ],
)
def test_the_keys_that_users_know_are_there_with_these_defaults(key, value):
    assert OmegaConf.select(composed(), key) == value


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["+experiment=tutorial"],
        ["data=idx", "data.dir=/data"],
        ["data=npz", "data.path=/data.npz"],
        ["data=mnist"],
        ["data=fashion_mnist"],
        ["data=function", "data.function=my_data:load"],
        ["tracking=none", "devices=gpu"],
        ["model.n_layers=3", "model.bidirectional=true"],
        ["model=gru", "model.n_layers=2", "model.bidirectional=true"],
        ["model=conv1d", "model.n_filters=8", "model.kernel_size=3", "model.n_layers=1"],
        ["model=function", "model._target_=my_model.make", "+model.width=64"],
        ["model=gru", "model.update_bias=-1", "model.reset_after=false"],
        ["training.epochs=0.5", "optimizer.learning_rate=1"],
    ],
    ids=lambda overrides: " ".join(overrides) or "nothing",
)
def test_what_hydra_composes_is_read_as_typed_values(overrides):
    assert isinstance(read(composed(*overrides)), Config)


def test_keys_that_a_user_adds_to_a_model_of_his_own_are_its_values():
    added = ["+model.width=64", "+model.sizes=[1,2]", "+model.seed=${seed}", "+model.values=1"]
    model = read(composed("model=function", "model._target_=my_model.make", *added)).model
    assert model.target == "my_model.make"
    assert model.values == {"width": 64, "sizes": [1, 2], "seed": 0, "values": 1}
    section = composed("model=function", "model._target_=my_model.make", *added).model
    assert keys_of(model) == OmegaConf.to_container(section, resolve=False) | {"seed": 0}


def test_the_keys_of_a_model_are_those_of_its_section():
    for name in ("lstm", "gru", "conv1d"):
        cfg = composed(f"model={name}")
        assert keys_of(read(cfg).model) == cfg.model


@pytest.mark.parametrize(
    ("group", "sentence"),
    [
        (
            "model=function",
            "model._target_ is not set: give the function that gives the model, as "
            "model._target_=package.module.function",
        ),
        (
            "data=function",
            "data.function is not set: give the function that gives the arrays, as "
            "data.function=package.module:function",
        ),
    ],
)
def test_a_function_that_is_not_named_is_asked_for(group, sentence):
    with pytest.raises(ConfigError) as caught:
        read(composed(group))
    assert str(caught.value) == sentence


def test_the_tutorial_is_as_the_tutorial_was():
    config = read(composed("+experiment=tutorial"))
    assert (config.model.n_hidden, config.model.forget_bias) == (128, 1.0)
    assert (config.optimizer.learning_rate, config.training.batch_size) == (0.001, 128)
    assert (config.training.training_iters, config.training.display_step) == (100_000, 10)
    assert config.training.test_len == 128


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("model.n_hidden=0", "model.n_hidden=0: input should be greater than 0"),
        ("model.n_hidden=8.5", "model.n_hidden=8.5"),
        ("model.n_hidden='8'", "model.n_hidden='8'"),
        ("model.n_hidden=true", "model.n_hidden=True"),
        ("model.n_hidden=null", "model.n_hidden=None"),
        ("model.n_layers=0", "model.n_layers=0: input should be greater than 0"),
        ("model.bidirectional=1", "model.bidirectional=1: input should be a valid boolean"),
        ("model.dropout=1", "model.dropout=1"),
        ("model.forget_bias=inf", "model.forget_bias=inf"),
        ("model.name=cnn", "model.name='cnn'"),
        ("optimizer.learning_rate=-1", "optimizer.learning_rate=-1"),
        ("optimizer.learning_rate=nan", "optimizer.learning_rate=nan"),
        ("training.display=loud", "training.display='loud'"),
        ("training.restore_best=1", "training.restore_best=1"),
        ("training.training_iters=128", "training_iters=128 leaves no step"),
        ("training.epochs=null", "one of epochs and training_iters must be set"),
        ("+model.other=3", "model.other=3"),
        ("+other=3", "other=3"),
        ("data.name=cifar", "data"),
        ("tracking.hidden=[1]", "tracking.hidden=1"),
        ("data.n_validation=${nosuch}", "nosuch"),
        ("tracking.experiment=''", "tracking.experiment=''"),
        ("tracking.registered_model=a/b", "tracking.registered_model='a/b'"),
        ("tracking.registered_model='a:1'", "tracking.registered_model='a:1'"),
        ("tracking.registered_model='  '", "tracking.registered_model='  '"),
        ("seed=4294967296", "seed=4294967296"),
    ],
)
def test_a_value_that_cannot_train_is_named_with_its_key(override, says):
    with pytest.raises(ConfigError) as caught:
        read(composed(override))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["model=gru", "+model.forget_bias=1"], "model.forget_bias=1: model=gru has no such key"),
        (["+model.update_bias=1"], "model.update_bias=1: model=lstm has no such key"),
        (["+data.dir=x"], "data.dir='x': data=mnist_5k has no such key"),
        (
            ["model.name=cnn"],
            "model.name='cnn': accepted is 'lstm', 'gru', 'conv1d', 'function'",
        ),
        (
            ["model=conv1d", "+model.n_hidden=3"],
            "model.n_hidden=3: model=conv1d has no such key",
        ),
        (
            ["model=conv1d", "model.kernel_size=2.5"],
            "model.kernel_size=2.5: input should be a valid integer",
        ),
        (
            ["model=function", "model._target_=''"],
            "model._target_='': string should have at least 1 character",
        ),
        (
            ["model=function", "model._target_=3"],
            "model._target_=3: input should be a valid string",
        ),
        (["~model.n_hidden"], "model.n_hidden is not set"),
        (
            ["model=gru", "model.n_hidden=0"],
            "model.n_hidden=0: input should be greater than 0",
        ),
        (
            ["model=gru", "model.reset_after=1"],
            "model.reset_after=1: input should be a valid boolean",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_in_a_section_that_its_name_decides_is_one_sentence(overrides, sentence):
    with pytest.raises(ConfigError) as caught:
        read(composed(*overrides))
    assert str(caught.value) == sentence


@pytest.mark.parametrize("word", ["lstm", "gru", "idx", "model", "function"])
def test_a_key_that_is_called_as_a_variant_keeps_its_name(word):
    with pytest.raises(ConfigError, match=f"^model.{word}=3: model=lstm has no such key$"):
        read(composed(f"+model.{word}=3"))
    with pytest.raises(ConfigError, match=f"^tracking.{word}=3: "):
        read(composed(f"+tracking.{word}=3"))


def test_a_frozen_value_cannot_be_changed():
    config = read(composed())
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.model.n_hidden = 3


UNIONS = {
    name: hint
    for name, hint in typing.get_type_hints(Config, include_extras=True).items()
    if typing.get_origin(hint) is typing.Annotated
    and any(getattr(extra, "discriminator", None) for extra in hint.__metadata__)
}


def test_the_sections_that_a_name_decides_are_those_that_error_texts_know():
    assert set(UNIONS) == NAMED == {"data", "model"}


@pytest.mark.parametrize("section", UNIONS)
def test_every_union_of_sections_is_told_apart_by_name(section):
    arms = typing.get_args(typing.get_args(UNIONS[section])[0])
    names = [typing.get_args(typing.get_type_hints(arm)["name"]) for arm in arms]
    flat = [name for group in names for name in group]
    assert len(flat) == len(set(flat))
    assert set(flat) == {path.stem for path in (CONF / section).glob("*.yaml")}

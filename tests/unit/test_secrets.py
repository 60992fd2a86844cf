"""No password and no token survives in a text, and nothing else changes."""

import os
import string
from pathlib import Path

import pytest
import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import setup_globals
from hypothesis import example, given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution

from seqsweep.errors import ConfigError, first_line, reason
from seqsweep.process.result import raised, returned
from seqsweep.record import visible
from seqsweep.search.report.display import show_params
from seqsweep.search.space.parameter import Parameter
from seqsweep.search.study.past import difference
from seqsweep.search.study.records import searched
from seqsweep.secrets import masked, masked_yaml

# RFC 3986, without percent-encoding: unreserved, reserved and the percent sign itself
URL_LEGAL = string.ascii_letters + string.digits + "-._~:/?#[]@!$&'()*+,;=%"
passwords = st.text(URL_LEGAL, min_size=8, max_size=30).filter(lambda text: text[-1] != "@")
schemes = st.sampled_from(["postgresql+psycopg", "http", "https", "mysql", "redis", "HTTP"])
around = st.sampled_from(["{}", "cannot open '{}'", "({})", '"{}",', "a\n{}\nb", "store={}: no"])
plain = st.text(st.characters(exclude_characters="=@", exclude_categories=["Cs"]))


@given(scheme=schemes, user=st.sampled_from(["", "me", "a.b%40c"]), password=passwords, text=around)
@example("postgresql", "me", "p/a:s@s?w#ord", "{}")
def test_a_password_in_an_address_never_survives(scheme, user, password, text):
    shown = masked(text.format(f"{scheme}://{user}:{password}@host:5432/db"))
    assert shown == text.format(f"{scheme}://{user}:***@host:5432/db")


@pytest.mark.parametrize("key", ["password", "PASSWD", "pwd", "token", "api_key", "sslpassword"])
@given(value=st.text(string.ascii_letters + string.digits + "-._~:/@!$'()*+,%", min_size=8))
def test_a_value_of_a_secrets_key_never_survives(key, value):
    before, _, after = masked(f"open postgresql://h/db?x=1&{key}={value}&y=2").partition("***")
    assert before == f"open postgresql://h/db?x=1&{key}="
    assert value not in after
    assert after.endswith("&y=2")


@given(plain)
def test_a_text_without_secrets_stays_as_it_is(text):
    assert masked(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "model.n_hidden=8.5: input should be a valid integer",
        "mail me@example.org or see http://127.0.0.1:5000/#/experiments/1?workflowType=a",
        "sqlite:////home/me/a folder/optuna.db",
        "n_tokens=512 max_token=3",
        "http://me:${oc.env:PASSWORD}@host",
        "${hydra:job.name}@${now:%H:%M}",
    ],
)
def test_what_only_looks_like_a_secret_stays(text):
    assert masked(text) == text


fragments = st.sampled_from(
    ["http://", "a", ":", "@", "/", " ", "'", '"', "password=", "token=", "&", "***", "${a:b}", "$"]
)


@given(st.one_of(st.text(), st.lists(fragments, max_size=15).map("".join)))
def test_masking_twice_is_masking_once(text):
    assert masked(masked(text)) == masked(text)


@pytest.mark.parametrize(
    "name",
    [
        "MLFLOW_TRACKING_PASSWORD",
        "MLFLOW_TRACKING_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "my_api_key",
        "OPENAI_APIKEY",
        "DB_PASSWD",
        "SOME_CREDENTIALS",
    ],
)
def test_the_value_of_a_variable_that_is_called_as_a_secret_is_known(monkeypatch, name):
    monkeypatch.setenv(name, 'it\'s "8" or\tmore/@')
    for shown in (str, repr, lambda text: f"a={text!r}"):
        assert "more/@" not in masked(shown('it\'s "8" or\tmore/@'))


def test_a_password_in_a_variable_that_holds_an_address_is_known(monkeypatch):
    monkeypatch.setenv("DATABASE", "postgresql://me:hunter%402hunter2@host/db")
    assert masked("the password hunter%402hunter2 is wrong") == "the password *** is wrong"
    assert masked("the password hunter@2hunter2 is wrong") == "the password *** is wrong"


def test_a_short_value_and_the_place_of_a_secret_are_no_secrets(monkeypatch, tmp_path):
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path))
    assert masked(f"false {tmp_path}") == f"false {tmp_path}"


def test_a_config_is_masked_without_being_resolved(monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "hunter2hunter2")
    config = OmegaConf.create(
        {
            "uri": "http://me:hunter3@host",
            "list": ["x", {"deep": "hunter2hunter2"}],
            "note": "${oc.env:MY_TOKEN}",
            "there": "http://${user}:${oc.env:MY_TOKEN}@host",
            "cut": "${oc.env:A,http://me:pw@host}${user}@x",
            "password": "short",
            "db": {"api_key": "k", "user": "me"},
            "missing": "???",
            "n": 3,
            "path": Path("/a"),
        }
    )
    shown = OmegaConf.to_container(OmegaConf.create(masked_yaml(config)), resolve=False)
    assert shown == {
        "uri": "http://me:***@host",
        "list": ["x", {"deep": "***"}],
        "note": "${oc.env:MY_TOKEN}",
        "there": "http://${user}:${oc.env:MY_TOKEN}@host",
        "cut": "***",
        "password": "***",
        "db": {"api_key": "***", "user": "me"},
        "missing": "???",
        "n": 3,
        "path": Path("/a"),
    }
    assert config.uri == "http://me:hunter3@host"


def test_what_is_recorded_of_a_config_holds_no_secret(monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "hunter2hunter2")
    config = OmegaConf.create({"a": "${oc.env:MY_TOKEN}", "b": ["x ${a}"], "c": 1})
    assert visible(config, []) == {"a": "***", "b": ["x ***"], "c": 1}


URL = "postgresql://me:hunter2@host/db"


def test_errors_and_reasons_hold_no_secret():
    assert str(ConfigError(f"{URL} is wrong")) == "postgresql://me:***@host/db is wrong"
    for text in (first_line, reason):
        assert text(ValueError(URL)) == "postgresql://me:***@host/db"
    failed = raised(ValueError(f"no {URL}"))
    assert failed.reason == "ValueError: no postgresql://me:***@host/db"
    assert "hunter2" not in failed.traceback


def test_a_value_is_masked_before_it_is_cut_short():
    long = f"postgresql://me:{'hunter2' * 10}@host/db"
    assert "hunter2" not in returned(long, n_values=1).reason


def test_a_config_whose_job_has_not_begun_is_shown_as_far_as_it_is_known(monkeypatch):
    setup_globals()  # as in every program of Hydra's; of its job nothing is known yet
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)
    config = OmegaConf.create(
        {"x": "???", "n": "${hydra:job.num}", "of": {"n": "${hydra:job.num}", "y": "???", "z": 1}}
    )
    assert visible(config, []) == {
        "x": "???",
        "n": "${hydra:job.num}",
        "of": {"n": "${hydra:job.num}", "y": "???", "z": 1},
    }


def test_a_config_with_hydras_part_is_resolved_by_its_own():
    config = OmegaConf.create(
        {"n": "${hydra:job.num}", "of": {"n": "no ${hydra:job.num}"}, "hydra": {"job": {"num": 3}}}
    )
    assert visible(config, []) == {"n": 3, "of": {"n": "no 3"}}


@pytest.mark.parametrize("key", ["password", "+password", "++a.password", "a.password"])
def test_a_searched_secret_is_masked_by_its_key(key):
    assert searched({key: "hunter22"}) == {key.lstrip("+"): "***"}
    assert show_params({key: "hunter22", "x": 1}) == "password=*** x=1"
    parameter = Parameter(key, CategoricalDistribution(["hunter22", "b"]), f"{key}=hunter22,b")
    assert parameter.described == "***"


def test_a_search_that_differs_in_a_secret_is_told_without_it():
    said = difference(
        {"params.a.password": "hunter22"}, {"params.a.password": "0ther-pw", "b": "1"}
    )
    assert said == "params.a.password: *** then, *** now; b: none then, 1 now"


def test_a_byte_that_is_no_text_is_written_as_yaml_escapes_it():
    name = os.fsdecode(b"caf\xe9")
    assert yaml.safe_load(masked_yaml({"name": name})) == {"name": name}

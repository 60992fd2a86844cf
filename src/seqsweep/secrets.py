"""Texts and configs as anybody may read them: without passwords and tokens."""

from __future__ import annotations

import functools
import json
import logging
import os
import re
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import yaml
from omegaconf import OmegaConf
from omegaconf._utils import get_omega_conf_dumper
from omegaconf.errors import GrammarParseError

MASK = "***"
SHORTEST = 8  # characters: a shorter value of the environment may be any word of a text

_INTERPOLATIONS = re.compile(r"(?:\$\{[^{}]*\})+")
# Greedy up to the last @, since a password may hold / and : and @.
_URL = re.compile(
    r"(?P<begin>[a-z][a-z0-9+.\-]*:/+(?:\$\{[^{}]*\}|[^\s/:@])*:)(?P<password>\S+)@", re.IGNORECASE
)
_NAMES = "PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|CREDENTIAL|ACCESS_KEY"
_SECRET_VARIABLE = re.compile(_NAMES, re.IGNORECASE)
# `token`, but not `max_token`, which is no secret; and what is written as a variable is.
_KEY = (
    r"(?:\w*passw(?:or)?d|pwd|(?:access_|auth_)?token|api_?key|access_key|(?:client_)?secret"
    rf"(?:_key)?|(?-i:[A-Z0-9_]*(?:{_NAMES})[A-Z0-9_]*))"
)
_KEYED = re.compile(
    rf"(?P<begin>(?<!\w){_KEY}=)(?P<value>(?=[^\s&#])"
    r"(?:'[^'\n]*'|\"[^\"\n]*\")?(?:[^\s&#]*[^\s&#'\")\]},.:;]|[^\s&#]*))",
    re.IGNORECASE,
)
_SECRET_KEY = re.compile(rf"(?:\+*|.*\.){_KEY}", re.IGNORECASE)


def masked(text: str) -> str:
    """Gives the text with `***` for each password of a URL, value of a key and known secret.

    Known are the values of environment variables that are called as secrets are, and the passwords
    in those that hold URLs.
    """
    return _masked(text, _secrets())


def masked_values(values: Any, key: str = "") -> Any:
    """Gives plain nested values with every text in them masked, whole under a key like `password`.

    What is to be interpolated stays.
    """
    return _masked_values(values, key, _secrets())


def masked_yaml(values: Any) -> str:
    """Writes a config, unresolved, or plain values, as OmegaConf does, but masked as above."""
    if OmegaConf.is_config(values):
        values = OmegaConf.to_container(values, resolve=False, enum_to_str=True)
    found = masked_values(values)
    how = {"default_flow_style": False, "allow_unicode": True, "sort_keys": False}
    try:
        return yaml.dump(found, Dumper=_fast_dumper(), **how)
    except UnicodeEncodeError:  # of a byte of the command line that is no text
        return yaml.dump(found, Dumper=get_omega_conf_dumper(), **how)


@functools.cache
def _fast_dumper() -> type[yaml.Dumper]:
    """Gives OmegaConf's dumper, with the emitter of libyaml where there is one: 1 ms, not 5 ms."""
    plain = get_omega_conf_dumper()
    if not yaml.__with_libyaml__:
        return plain
    return type("Dumper", (yaml.CDumper,), {"yaml_representers": plain.yaml_representers})


class _MaskedRecord(logging.LogRecord):
    """A line of a log, with the traceback that it may have."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        if self.exc_info and self.exc_info[0] is not None:
            self.exc_text = masked("".join(traceback.format_exception(*self.exc_info)).rstrip())

    def getMessage(self) -> str:  # noqa: N802 - the name is Python's
        return masked(super().getMessage())


def keep_out_of_logs() -> None:
    """Masks whatever this process logs from now on."""
    logging.setLogRecordFactory(_MaskedRecord)


def _masked(text: str, secrets: list[str]) -> str:
    text = _URL.sub(lambda found: f"{_begin(found, 'password')}@", text)
    text = _KEYED.sub(lambda found: _begin(found, "value"), text)
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text


def _masked_values(values: Any, key: str, secrets: list[str]) -> Any:
    if isinstance(values, dict):
        return {name: _masked_values(v, str(name), secrets) for name, v in values.items()}
    if isinstance(values, list):
        return [_masked_values(value, key, secrets) for value in values]
    if isinstance(values, Path):
        return Path(_masked(str(values), secrets))
    if not isinstance(values, str) or values == "???" or _INTERPOLATIONS.fullmatch(values):
        return values
    if values and _SECRET_KEY.fullmatch(key):
        return MASK
    return _parsable(values, _masked(values, secrets))


def _begin(found: re.Match[str], group: str) -> str:
    """Gives what stands before the secret, and a mask unless it is to be interpolated."""
    is_open = _INTERPOLATIONS.fullmatch(found[group])
    return f"{found['begin']}{found[group] if is_open else MASK}"


def _secrets() -> list[str]:
    # in bytes: to decode all for each text would take longer than to mask the text
    return _known(tuple(os.environb.items()))


@functools.lru_cache(maxsize=4)  # for one environment dozens of texts are masked a trial
def _known(environment: tuple[tuple[bytes, bytes], ...]) -> list[str]:
    """Gives the secrets of it in each way in which a text may write them, the longest first."""
    read = [(os.fsdecode(name), os.fsdecode(value)) for name, value in environment]
    secrets = {secret for secret in _of(read) if len(secret) >= SHORTEST}
    written = set(secrets)
    for secret in secrets:
        written |= {repr(secret)[1:-1], json.dumps(secret)[1:-1], quote(secret, safe="")}
    return sorted(written, key=len, reverse=True)


def _of(environment: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, value in environment:
        if _SECRET_VARIABLE.search(name) and not _is_file(value):
            yield value
        for found in _URL.finditer(value):
            if not _INTERPOLATIONS.fullmatch(found["password"]):
                yield from {found["password"], unquote(found["password"])}


def _is_file(value: str) -> bool:
    """Says whether the value is no secret but the place of one, as a file of credentials is."""
    try:
        return value.startswith("/") and Path(value).exists()
    except (OSError, ValueError):
        return False


def _parsable(before: str, after: str) -> str:
    """Gives the masked text, or the mask alone where it cuts through an interpolation."""
    if before == after or "${" not in after:
        return after
    try:
        OmegaConf.create([after])
    except GrammarParseError:
        return MASK
    return after

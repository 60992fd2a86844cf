"""Where a field of `hydra.sweeper` was set, for the reader of an error."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import yaml
from omegaconf import DictConfig

QUESTION = re.compile(r"^# Question:(.*)$", re.MULTILINE)
FIELD = re.compile(r"hydra\.sweeper\.(\w+)")


def with_origin(message: str, config: DictConfig) -> str:
    """Gives the message with the file that sets the field of `hydra.sweeper` it speaks of.

    As it was where the message speaks of none, or the field was set on the command line.
    """
    found = FIELD.search(message)
    if found is None or _on_command_line(config, found[1]):
        return message
    for path in _files(config):
        if _sets(path, found[1]):
            return f"{_short(path)}: {message}"
    return message


def question(config: DictConfig) -> str | None:
    """Gives the question that the head of a chosen file asks, as the files of `sweeps/` do."""
    for path in _files(config):
        with contextlib.suppress(OSError, UnicodeError):
            if found := QUESTION.search(path.read_text()):
                return found[1].strip()
    return None


def _on_command_line(config: DictConfig, field: str) -> bool:
    lines = config.hydra.overrides.hydra
    keys = [line.partition("=")[0].lstrip("+~").replace("/", ".") for line in lines]
    return any(f"{key}.".startswith(f"hydra.sweeper.{field}.") for key in keys)


def _files(config: DictConfig) -> Iterator[Path]:
    """Gives the files that may set it: those chosen last, as a sweep, before the app's own."""
    choices = dict(config.hydra.runtime.choices)
    names = [f"{group}/{name}" for group, name in reversed(choices.items()) if name]
    for source in config.hydra.runtime.config_sources:
        if source.schema == "file":
            for name in [*names, str(config.hydra.job.config_name)]:
                path = Path(source.path, f"{name.removesuffix('.yaml')}.yaml")
                if path.is_file():
                    yield path


def _sets(path: Path, field: str) -> bool:
    """Says whether the file sets the field, by a value or by an option of its defaults list."""
    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError):
        return False
    defaults = values.get("defaults", []) if isinstance(values, dict) else []
    options = [key for entry in defaults if isinstance(entry, dict) for key in entry]
    if any(key.split()[-1].lstrip("/") == f"hydra/sweeper/{field}" for key in options):
        return True
    for key in ("hydra", "sweeper"):
        values = values.get(key) if isinstance(values, dict) else None
    return isinstance(values, dict) and field in values


def _short(path: Path) -> str:
    """Gives the path as a reader would type it where he stands."""
    relative = os.path.relpath(path.resolve())
    return str(path.resolve()) if relative.startswith("..") else relative

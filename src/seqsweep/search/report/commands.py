"""What a person types to go on with a sweep, or to train one of its trials again."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from seqsweep.search.space.parameter import literal
from seqsweep.search.study.claim import OWN_FILE
from seqsweep.search.study.past import Past


def how_to_go_on(past: Past) -> str:
    """Gives the command that goes on with a sweep that was interrupted.

    Where the sweep's folder does not tell, it is a hint.
    """
    said = _said(past)
    if not said:
        return "the same command goes on"
    words = [*_program(said), "-m", *_overrides(said)]
    settings = said["hydra"].get("sweeper", {})
    if not settings.get("storage") and not any("hydra.sweep.dir=" in word for word in words):
        words.append(f"hydra.sweep.dir={past.folder}")  # where its study is
    return shlex.join(words)


def how_to_train_again(past: Past, params: Mapping[str, Any], run_id: str | None) -> str | None:
    """Gives the command that trains a trial once more; None where the folder does not tell.

    Of this project's own trials that is the one of the run, with all of its config.
    """
    said = _said(past)
    if not said:
        return None
    program = _program(said)
    if run_id and program[-1] == "src/run.py":
        return shlex.join([*program, f"+rerun={run_id}"])
    keys = {key.lstrip("+") for key in params}
    fixed = [word for word in _overrides(said) if word.partition("=")[0].lstrip("+") not in keys]
    fixed = [word for word in fixed if not word.startswith("hydra")]
    return shlex.join([*program, *fixed, *(f"{k}={literal(v)}" for k, v in params.items())])


def _said(past: Past) -> dict[str, Any]:
    """Gives the config with which the sweep began, empty where it is not to be read."""
    if past.folder is None:
        return {}
    with contextlib.suppress(OSError, yaml.YAMLError):
        said = yaml.safe_load((past.folder / OWN_FILE).read_text(encoding="utf-8"))
        if isinstance(said, dict) and isinstance(said.get("hydra"), dict):
            return said
    return {}


def _program(said: Mapping[str, Any]) -> list[str]:
    """Gives `python` and the script, as seen from the folder in which the sweep was started."""
    job = said["hydra"]["job"]["name"]
    root = said.get("root")
    is_project = isinstance(root, str) and Path(root, "src", "run.py").is_file()
    return ["python", "src/run.py" if is_project and job == "run" else f"{job}.py"]


def _overrides(said: Mapping[str, Any]) -> list[str]:
    given = said["hydra"]["overrides"]
    return [*given["task"], *(word for word in given["hydra"] if word != "hydra.mode=MULTIRUN")]

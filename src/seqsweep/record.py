"""What is recorded and read, as text: a config without what is hidden, and flat; a count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from seqsweep.secrets import masked_values


def visible(config: DictConfig, hidden: Iterable[str]) -> dict[str, Any]:
    """Gives the resolved config without Hydra's own part, the `hidden` keys and any secret."""
    left_out = {"hydra", *hidden}
    resolved = {}
    for key in config:
        if key not in left_out:
            value = config[key]
            is_node = OmegaConf.is_config(value)
            resolved[str(key)] = OmegaConf.to_container(value, resolve=True) if is_node else value
    return masked_values(resolved)


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Gives the leaves by dotted key, as text."""
    leaves: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            leaves |= flatten(value, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = text(value)
    return leaves


def text(value: Any) -> str:
    """Writes a value as YAML would: null, true, 0.001."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def counted(number: int, what: str) -> str:
    """Writes a number of things."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Writes a time in hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"

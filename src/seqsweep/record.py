"""What is recorded and read, as text: a config without what is hidden, and flat; a count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError

from seqsweep.secrets import masked_values


def visible(config: DictConfig, hidden: Iterable[str]) -> dict[str, Any]:
    """Gives the resolved config without Hydra's own part, the `hidden` keys and any secret.

    What nobody can resolve yet, as `???`, stays as it is written.
    """
    left_out = {"hydra", *hidden}
    config = _of_its_own_job(config)
    return masked_values({str(k): _resolved(config, k) for k in config if k not in left_out})


def _of_its_own_job(config: DictConfig) -> DictConfig:
    """Lets `${hydra:job.num}` mean the config's own part of Hydra, not that of this process.

    Only where another part names Hydra's at all: to read that part takes most of the time.
    """
    own = (config._get_node(key) for key in config if key != "hydra")
    if "hydra" not in config or not any("hydra" in repr(node) for node in own):
        return config
    return OmegaConf.create(OmegaConf.to_yaml(config).replace("${hydra:", "${hydra."))


def _resolved(config: DictConfig, key: Any) -> Any:
    try:
        if OmegaConf.is_missing(config, key):
            return "???"
        value = config[key]
        return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
    except InterpolationResolutionError:
        return OmegaConf.to_container(config)[key]


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

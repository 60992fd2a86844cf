"""The fields of `hydra.sweeper`, checked."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Annotated, Any, Literal

from omegaconf import DictConfig, ListConfig, OmegaConf
from pydantic import BeforeValidator, Field, model_validator

from seqsweep.config import DevicesConfig, TrackingConfig, checked
from seqsweep.config.values import Count, Flag, Number, Positive, Seed, Text, frozen
from seqsweep.errors import ConfigError
from seqsweep.named import function_named
from seqsweep.process.messages import OBJECTIVE

CURRENT = "current"  # among `enqueue`: the values that the config has now


@dataclass(frozen=True)
class Constraint:
    """A bound on the last value of a reported metric; `text` is how it was written."""

    text: str
    metric: str
    is_upper: bool
    bound: float

    @classmethod
    def read(cls, text: Any) -> Constraint:
        """Reads `metric <= bound` or `metric >= bound`.

        Raises:
            ValueError: it is neither.
        """
        if isinstance(text, cls):
            return text
        found = re.fullmatch(r"\s*(.*?\S)\s*([<>]=)\s*(\S+)\s*", str(text))
        try:
            metric, sign, bound = found.groups() if found else ("", "", "")
            return cls(f"{metric} {sign} {bound}", metric, sign == "<=", float(bound))
        except ValueError as error:
            raise ValueError(
                f"{text!r} is no constraint; accepted is a metric, <= or >=, and a number, as "
                "n_parameters <= 50000"
            ) from error

    def violation(self, value: float) -> float:
        """Gives by how much `value` breaks the bound; zero or less where it does not."""
        return value - self.bound if self.is_upper else self.bound - value


def _listed(value: Any) -> Any:
    """Gives a list, of one where a single thing was given and empty where nothing was."""
    return value if isinstance(value, list | tuple) else [value] if value is not None else []


def _point(value: Any) -> Any:
    if value != CURRENT and not isinstance(value, dict):
        raise ValueError(f"{value!r} is neither a set of values, as {{lr: 0.1}}, nor {CURRENT!r}")
    return value


def _option(value: Any) -> Any:
    if isinstance(value, str):
        raise ValueError(
            f"{value!r} is an option: choose it with slashes, as hydra/sweeper/pruner=median"
        )
    return value


Chosen = Annotated[dict[str, Any], BeforeValidator(_option)]
Rate = Annotated[float, Field(ge=0, le=1, strict=True)]
Natural = Annotated[int, Field(ge=0, strict=True)]
# A running trial is heard of four times within it, and stores keep whole seconds.
GracePeriod = Annotated[int, Field(ge=4, strict=True)]
Directions = Annotated[
    tuple[Literal["minimize", "maximize"], ...], BeforeValidator(_listed), Field(min_length=1)
]
Names = Annotated[tuple[Text, ...], BeforeValidator(_listed)]
# A study's name is a folder's name too.
StudyName = Annotated[str, Field(pattern=r"^\w[\w. -]*$")]


@frozen
class Settings:
    """How to search; where the defaults stand: hydra_plugins/, what each means: docs/sweeper.md."""

    sampler: Chosen
    pruner: Chosen
    direction: Directions
    metric: Names
    constraints: tuple[Annotated[Constraint, BeforeValidator(Constraint.read)], ...]
    n_jobs: int | str
    n_workers: Count
    seed: Seed | None

    params: dict[str, Any] | None
    custom_search_space: str | None
    enqueue: list[Annotated[Any, BeforeValidator(_point)]]
    skip_duplicates: Flag
    repeats: Count
    seed_key: Text

    n_trials: Count | None
    timeout: Positive | None
    target: Number | None
    patience: Count | None
    max_failures: Natural | None
    max_failure_rate: Rate | None
    trial_timeout: Positive | None
    max_retries: Natural
    grace_period: GracePeriod

    study_name: StudyName | None
    fresh: Flag
    dry_run: Flag
    storage: str | None
    devices: DevicesConfig
    tracking: TrackingConfig
    report_every: Positive | None
    step_unit: Text
    rerun: str | None
    preload: list[str]
    check: str | None
    evaluate_best: str | None

    @model_validator(mode="after")
    def _counts_slots(self) -> Settings:
        if self.n_jobs != "auto" and (not isinstance(self.n_jobs, int) or self.n_jobs < 1):
            raise ValueError(f"n_jobs={self.n_jobs!r}: auto or a whole number above 0 is accepted")
        return self

    @model_validator(mode="after")
    def _fits_its_objectives(self) -> Settings:
        if len(self.direction) == 1 and len(self.metric) > 1:
            raise ValueError(
                f"direction={self.direction[0]} is of one objective, but "
                f"metric={list(self.metric)} names several"
            )
        if len(self.direction) == 1:
            return self
        if self.metric and len(self.metric) != len(self.direction):
            raise ValueError(
                f"direction={list(self.direction)} names {len(self.direction)} objectives, but "
                f"metric={list(self.metric)} {len(self.metric)}: give a name for each, or none"
            )
        for field in ("target", "patience"):
            if getattr(self, field) is not None:
                raise ValueError(
                    f"{field}={getattr(self, field)} is for one objective, but "
                    f"direction={list(self.direction)} names several"
                )
        return self

    @property
    def names(self) -> list[str]:
        """What the objectives are called on the screen."""
        if len(self.direction) == 1:
            return list(self.metric) or ["value"]
        return list(self.metric) or [f"value_{i}" for i in range(len(self.direction))]

    @property
    def recorded_names(self) -> list[str]:
        """What the objectives are called among the metrics of a run."""
        if len(self.direction) == 1:
            return [OBJECTIVE]
        return [f"{OBJECTIVE}_{name}" for name in self.names]

    @property
    def signs(self) -> list[int]:
        """By what each objective is multiplied so that more is better."""
        return [1 if direction == "maximize" else -1 for direction in self.direction]

    @property
    def is_extended(self) -> bool:
        """Says whether a function adds to the space."""
        return self.custom_search_space is not None

    @classmethod
    def read(cls, fields: dict[str, Any]) -> Settings:
        """Checks what Hydra composed.

        Raises:
            ConfigError: naming the field, the value received and what is accepted.
        """
        values = {key: _plain(value) for key, value in fields.items()}
        settings = checked(cls, values, prefix="hydra.sweeper")
        for field in ("check", "evaluate_best", "custom_search_space"):
            settings.function(field)
        settings._check_preload()
        return settings

    def function(self, field: Literal["check", "evaluate_best", "custom_search_space"]) -> Any:
        """Gives the function that the field names, None where it names none."""
        name = getattr(self, field)
        if name is None:
            return None
        return function_named(name, key=f"hydra.sweeper.{field}")

    def _check_preload(self) -> None:
        """Looks for each module's outermost package, which imports nothing."""
        for name in (entry.partition(":")[0] for entry in self.preload):
            top = name.partition(".")[0]
            if not top.isidentifier() or (top not in sys.modules and find_spec(top) is None):
                raise ConfigError(f"hydra.sweeper.preload: there is no module {name!r}")


def _plain(value: Any) -> Any:
    if isinstance(value, DictConfig | ListConfig):
        return OmegaConf.to_container(value, resolve=True)
    return value

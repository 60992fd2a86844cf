"""The fields of `hydra.sweeper`, checked."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Annotated, Any, Literal

from hydra.utils import get_method
from omegaconf import DictConfig, ListConfig, OmegaConf
from pydantic import Field, model_validator

from seqsweep.config import Count, DevicesConfig, Seed, TrackingConfig, checked, frozen
from seqsweep.errors import ConfigError

# A study's name is a folder's name too.
StudyName = Annotated[str, Field(pattern=r"^\w[\w. -]*$")]


@frozen
class Settings:
    """How to search; where the defaults stand and what each field means: hydra_plugins/."""

    sampler: dict[str, Any]
    pruner: dict[str, Any]
    direction: Literal["minimize", "maximize"]
    metric: str | None
    n_trials: Count | None
    n_jobs: int | str
    seed: Seed | None
    params: dict[str, Any] | None
    study_name: StudyName | None
    storage: str | None
    devices: DevicesConfig
    tracking: TrackingConfig
    preload: list[str]
    check: str | None
    evaluate_best: str | None

    @model_validator(mode="after")
    def _counts_slots(self) -> Settings:
        if self.n_jobs != "auto" and (not isinstance(self.n_jobs, int) or self.n_jobs < 1):
            raise ValueError(f"n_jobs={self.n_jobs!r}: auto or a whole number above 0 is accepted")
        return self

    @classmethod
    def read(cls, fields: dict[str, Any]) -> Settings:
        """Checks what Hydra composed.

        Raises:
            ConfigError: naming the field, the value received and what is accepted.
        """
        values = {key: _plain(value) for key, value in fields.items()}
        settings = checked(cls, values, prefix="hydra.sweeper")
        for field in ("check", "evaluate_best"):
            settings._find(field)
        settings._check_preload()
        return settings

    def function(self, field: Literal["check", "evaluate_best"]) -> Any:
        """Gives the function that the field names, None where it names none."""
        return self._find(field)

    def _check_preload(self) -> None:
        """Looks for each module's outermost package, which imports nothing."""
        for name in self.preload:
            top = name.partition(".")[0]
            if not top.isidentifier() or (top not in sys.modules and find_spec(top) is None):
                raise ConfigError(f"hydra.sweeper.preload: there is no module {name!r}")

    def _find(self, field: str) -> Any:
        name = getattr(self, field)
        if name is None:
            return None
        try:
            return get_method(name)
        except Exception as error:
            raise ConfigError(f"hydra.sweeper.{field}={name!r} names no function") from error


def _plain(value: Any) -> Any:
    if isinstance(value, DictConfig | ListConfig):
        return OmegaConf.to_container(value, resolve=True)
    return value

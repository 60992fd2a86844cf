"""The types of single values: strict, so that "8" is no number, 8.5 no count and 1 no flag."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

frozen = dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))

Flag = Annotated[bool, Field(strict=True)]
Count = Annotated[int, Field(gt=0, strict=True)]
Seed = Annotated[int, Field(ge=0, lt=2**32, strict=True)]
Number = Annotated[float, Field(strict=True)]
Positive = Annotated[float, Field(gt=0, strict=True)]
NotNegative = Annotated[float, Field(ge=0, strict=True)]
Fraction = Annotated[float, Field(ge=0, lt=1, strict=True)]
Text = Annotated[str, Field(min_length=1)]

TARGET = "_target_"  # Hydra's word for the function that a config is for


def listed(value: Any) -> Any:
    """Gives the value in a list where it is none."""
    return value if isinstance(value, list | tuple) else [value]

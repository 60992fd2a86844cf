"""One searched value of the config: what values it takes, and how each is written for Hydra."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import optuna
from hydra.core.override_parser.types import Quote, QuotedString, Transformer
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from seqsweep.errors import SearchError
from seqsweep.secrets import masked, masked_values

Value = None | bool | int | float | str
MOST_POINTS = 100_000  # of a grid, which are held in memory
# The values of other parameters, by name, with which a parameter exists; all must hold.
Condition = Mapping[str, tuple[Value, ...]]


@dataclass(frozen=True)
class Parameter:
    """One searched value of the config.

    Attributes:
        key: what it overrides, as `model.n_hidden`; with its prefix where it has one, as `+x`.
        distribution: what values it takes.
        text: how it was written, for messages.
        raw: categories that are no plain value (a list, a mapping), which go to Hydra as written.
        when: the condition under which it exists; empty where it always does.
    """

    key: str
    distribution: BaseDistribution
    text: str
    raw: frozenset[str] = frozenset()
    when: Condition | None = None

    @property
    def name(self) -> str:
        """The key without Hydra's prefix: what the parameter is called in every record."""
        return self.key.lstrip("+")

    @property
    def described(self) -> str:
        """How it was written, without its key, with its condition, and without secrets."""
        values = masked_values({self.key: self.text.partition("=")[2]})[self.key]
        return values + masked(self.condition)

    @property
    def condition(self) -> str:
        """When it exists, as ` when model is gru`; empty where it always does."""
        terms = (f"{name} is {' or '.join(map(literal, v))}" for name, v in self.when_items())
        return f" when {' and '.join(terms)}" if self.when else ""

    def when_items(self) -> list[tuple[str, tuple[Value, ...]]]:
        """Gives the terms of the condition."""
        return list((self.when or {}).items())

    def exists(self, values: Mapping[str, Value]) -> bool:
        """Says whether the parameter exists beside these values of others."""
        return all(name in values for name in self.when or {}) and self.may_exist(values)

    def may_exist(self, values: Mapping[str, Value]) -> bool:
        """Says the same where `values` are only some of the others."""
        known = {name: accepted for name, accepted in self.when_items() if name in values}
        return all(any(same(values[n], value) for value in v) for n, v in known.items())

    def override(self, value: Value) -> str:
        """Gives the Hydra override that sets this parameter to `value`."""
        written = value if value in self.raw else literal(value)
        return f"{self.key}={written}"

    def suggest(self, trial: optuna.Trial) -> Value:
        """Lets the sampler choose a value."""
        match self.distribution:
            case CategoricalDistribution(choices=choices):
                return trial.suggest_categorical(self.name, choices)
            case IntDistribution(low=low, high=high, step=step, log=log):
                return trial.suggest_int(self.name, low, high, step=step, log=log)
            case FloatDistribution(low=low, high=high, step=step, log=log):
                return trial.suggest_float(self.name, low, high, step=step, log=log)
        raise TypeError(f"no such distribution: {self.distribution!r}")

    def corners(self) -> list[Value]:
        """Gives every category, or the two ends."""
        if isinstance(self.distribution, CategoricalDistribution):
            return list(self.distribution.choices)
        return list(dict.fromkeys([self.distribution.low, self.distribution.high]))

    def grid(self) -> list[Value]:
        """Gives all values.

        Raises:
            SearchError: there is no end of them, or far too many.
        """
        match self.distribution:
            case CategoricalDistribution(choices=choices):
                return list(choices)
            case IntDistribution(low=low, high=high, step=step):
                _check_count((high - low) // step + 1)
                return list(range(low, high + 1, step))
            case FloatDistribution(low=low, high=high, step=float(step)):
                count = _steps(low, high, step) + 1
                _check_count(count)
                return [_point(low, step, i) for i in range(count)]
        raise SearchError(
            f"{self.text} has no end of values, and as hydra.sweeper.sampler grid and brute_force "
            "try them all; give it a choice or a range, or take hydra/sweeper/sampler=tpe"
        )

    def read(self, value: Value) -> Value:
        """Gives `value` as this parameter has it.

        Raises:
            SearchError: it is none of the parameter's values.
        """
        if isinstance(value, list | dict):
            value = Transformer.str(value)  # as `raw` has it
        match self.distribution:
            case CategoricalDistribution(choices=choices):
                found = [choice for choice in choices if same(choice, value)]
            case IntDistribution(low=low, high=high, step=step):
                is_int = isinstance(value, int) and not isinstance(value, bool)
                found = [value] if is_int and value in range(low, high + 1, step) else []
            case FloatDistribution(low=low, high=high, step=step):
                is_number = isinstance(value, int | float) and not isinstance(value, bool)
                inside = is_number and low <= value <= high
                if inside and step is not None:
                    inside = value == _point(low, step, _steps(low, value, step))
                found = [float(value)] if inside else []
        if not found:
            raise SearchError(f"{value!r} is no value of {self.text}")
        return found[0]


def _point(low: float, step: float, number: int) -> float:
    """Gives a point of a float range, counted in decimals as the range is written."""
    return float(Decimal(repr(low)) + number * Decimal(repr(step)))


def _steps(low: float, value: float, step: float) -> int:
    """Gives how many steps `value` lies above `low`, about."""
    return round((Decimal(repr(value)) - Decimal(repr(low))) / Decimal(repr(step)))


def _check_count(count: int) -> None:
    if count > MOST_POINTS:
        raise too_many_points()


def too_many_points() -> SearchError:
    """Gives the error that a grid does not fit into memory."""
    return SearchError(
        f"the grid has more than {MOST_POINTS:,} points; give its parameters fewer values, "
        "or take another sampler, as hydra/sweeper/sampler=tpe"
    )


def same(a: Value, b: Value) -> bool:
    """Says whether two values are one; to Python, 1 and True are equal, and 1 and 1.0."""
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def literal(value: Value) -> str:
    """Writes `value` so that Hydra reads the same value of the same type.

    Text is quoted only where it must be: Hydra's `override_dirname` names folders by it.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
        return value if plain else QuotedString(value, Quote.single).with_quotes()
    return repr(value)


_PLAIN = re.compile(r"[a-zA-Z_][\w/-]*", re.ASCII)
_WORDS = {"null", "true", "false", "nan", "inf"}  # that Hydra reads as something else

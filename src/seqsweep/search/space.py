"""The search space: Hydra's override grammar read as Optuna's distributions, and values as text.

What the grammar's ends mean is fixed here, once: an interval holds both its ends, a range's stop is
exclusive.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import optuna
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    IntervalSweep,
    Override,
    Quote,
    QuotedString,
    RangeSweep,
    Transformer,
)
from hydra.errors import HydraException
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from seqsweep.errors import SearchError

Value = None | bool | int | float | str


@dataclass(frozen=True)
class Parameter:
    """One searched value of the config.

    Attributes:
        key: what it overrides, as `model.n_hidden`; with its prefix where it has one, as `+x`.
        distribution: what values it takes.
        text: how it was written, for messages.
        raw: categories that are no plain value (a list, a mapping), which go to Hydra as written.
    """

    key: str
    distribution: BaseDistribution
    text: str
    raw: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The key without Hydra's prefix: what the parameter is called in every record."""
        return self.key.lstrip("+")

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
            SearchError: there is no end of them.
        """
        match self.distribution:
            case CategoricalDistribution(choices=choices):
                return list(choices)
            case IntDistribution(low=low, high=high, step=step):
                return list(range(low, high + 1, step))
            case FloatDistribution(low=low, high=high, step=float(step)):
                count = round((high - low) / step) + 1
                return [float(Decimal(repr(low)) + i * Decimal(repr(step))) for i in range(count)]
        raise SearchError(
            f"{self.text} has no end of values, and as hydra.sweeper.sampler grid and brute_force "
            "try them all; give it a choice or a range, or take hydra/sweeper/sampler=tpe"
        )


@dataclass(frozen=True)
class Space:
    """The searched parameters and the overrides that all trials share."""

    parameters: tuple[Parameter, ...]
    fixed: tuple[str, ...]

    @classmethod
    def read(cls, params: Mapping[str, Any], arguments: list[str], config_loader: Any) -> Space:
        """Reads `hydra.sweeper.params` and the command line, which overrules it.

        Raises:
            SearchError: a line is no override or no space that can be searched.
        """
        parser = OverridesParser.create(config_loader=config_loader)
        parsed = [_parse(parser, f"{key}={_written(value)}") for key, value in params.items()]
        parsed += [_parse(parser, argument) for argument in arguments]
        last = {override.get_key_element().lstrip("+"): override for override in parsed}
        searched = [o for o in last.values() if o.is_sweep_override()]
        fixed = [o.input_line or "" for o in last.values() if not o.is_sweep_override()]
        return cls(tuple(map(_parameter, searched)), tuple(fixed))

    def suggest(self, trial: optuna.Trial) -> dict[str, Value]:
        """Lets the sampler choose a value for each parameter."""
        return {p.name: p.suggest(trial) for p in self.parameters}

    def overrides(self, values: Mapping[str, Value]) -> list[str]:
        """Gives all overrides of the trial that has these values."""
        return [*self.fixed, *(p.override(values[p.name]) for p in self.parameters)]

    def corners(self) -> Iterator[dict[str, Value]]:
        """Gives sets of values in which each parameter takes each of its corners at least once."""
        corners = [p.corners() for p in self.parameters]
        for i in range(max(map(len, corners), default=1)):
            yield {
                p.name: values[min(i, len(values) - 1)]
                for p, values in zip(self.parameters, corners, strict=True)
            }

    def grid(self) -> dict[str, list[Value]]:
        """Gives all values of each parameter.

        Raises:
            SearchError: one of them has no end of values.
        """
        return {p.name: p.grid() for p in self.parameters}


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


def _written(value: Any) -> str:
    """Gives an entry of `hydra.sweeper.params` in the grammar; a YAML list is a choice."""
    if isinstance(value, list):
        return ",".join(map(_written, value))
    return value if isinstance(value, str) else literal(value)


def _parse(parser: OverridesParser, line: str) -> Override:
    try:
        return parser.parse_override(line)
    except HydraException as error:
        raise SearchError(f"{line!r} is no Hydra override: {str(error).splitlines()[0]}") from error


def _parameter(override: Override) -> Parameter:
    key, text = override.get_key_element(), override.input_line or ""
    try:
        if override.is_interval_sweep():
            return Parameter(key, _interval(override.value()), text)
        if override.is_range_sweep():
            return Parameter(key, _range(override.value()), text)
        return _choice(key, text, override)
    except ValueError as error:  # ours, and those of Optuna's constructors
        raise SearchError(f"{text} cannot be searched: {error}") from error


def _interval(sweep: IntervalSweep) -> BaseDistribution:
    start, end, log = sweep.start, sweep.end, "log" in sweep.tags
    if start is None or end is None or not start <= end:
        raise ValueError(f"its ends {start} and {end} are swapped, the smaller comes first")
    if log and start <= 0:
        raise ValueError(f"a log scale needs a start above 0, not {start}")
    if isinstance(start, int) and isinstance(end, int):
        return IntDistribution(start, end, log=log)
    return FloatDistribution(float(start), float(end), log=log)


def _range(sweep: RangeSweep) -> BaseDistribution:
    if "log" in sweep.tags:
        raise ValueError("a range has no log scale; an interval has")
    ends = (sweep.start, sweep.stop, sweep.step)
    if not all(map(math.isfinite, ends)) or not sweep.step:
        raise ValueError("start, stop and step must be finite and the step not 0")
    # in decimals, as written: 0.3 is no multiple of 0.1 in binary
    start, stop, step = (Decimal(repr(end)) for end in ends)
    count = math.ceil((stop - start) / step)
    if count < 1:
        raise ValueError("it is empty; the stop of a range is exclusive")
    low, high = sorted((start, start + (count - 1) * step))
    if all(isinstance(end, int) for end in ends):
        return IntDistribution(int(low), int(high), step=int(abs(step)))
    return FloatDistribution(float(low), float(high), step=float(abs(step)))


def _choice(key: str, text: str, override: Override) -> Parameter:
    elements = list(override.sweep_iterator())
    categories, raw = [], set()
    for element in elements:
        value = element.text if isinstance(element, QuotedString) else element
        if not isinstance(value, Value):
            value = Transformer.str(element)
            raw.add(value)
        categories.append(value)
    if not categories:
        raise ValueError("the choice is empty; give at least one value, as choice(1, 2)")
    if any(value != value for value in categories):
        raise ValueError("nan is no value that a trial can be told by")
    for a, b in itertools.combinations(categories, 2):
        if a == b:
            raise ValueError(f"the choice holds {b!r} twice")
    return Parameter(key, CategoricalDistribution(categories), text, frozenset(raw))

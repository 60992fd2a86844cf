"""The search space: which parameters there are, when each exists, and what overrides they make."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import optuna
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, QuotedString
from hydra.errors import HydraException

from seqsweep.errors import SearchError
from seqsweep.search.space.grammar import read_parameter
from seqsweep.search.space.parameter import (
    MOST_POINTS,
    Condition,
    Parameter,
    Value,
    literal,
    same,
    too_many_points,
)


@dataclass(frozen=True)
class Space:
    """The searched parameters, a parent before those that its value makes exist.

    `fixed` are the overrides that all trials share.
    """

    parameters: tuple[Parameter, ...]
    fixed: tuple[str, ...]

    @classmethod
    def read(cls, params: Mapping[str, Any], arguments: list[str], config_loader: Any) -> Space:
        """Reads `hydra.sweeper.params` and the command line, which overrules it.

        Raises:
            SearchError: a line is no override or no space that can be searched.
        """
        parser = OverridesParser.create(config_loader=config_loader)
        lines: dict[str, _Line] = {}
        for key, value in params.items():
            line = _Line.of_file(parser, str(key), value)
            lines[line.name] = line
        for argument in arguments:
            line = _Line.of_argument(parser, argument)
            if line.name in lines:  # it overrules the values, not when they count
                line = replace(line, when=lines[line.name].when)
            lines[line.name] = line
        parameters: dict[str, Parameter | None] = {}
        for name in _parents_first(lines):
            line = lines[name]
            if line.is_searched and (when := _reduced(line, lines, parameters)) is not None:
                parameters[name] = read_parameter(line.override, named=line.named, when=when)
            else:
                parameters[name] = None
        fixed = [line.text for line in lines.values() if not line.is_searched]
        return cls(tuple(filter(None, parameters.values())), tuple(fixed))

    def suggest(self, trial: optuna.Trial) -> dict[str, Value]:
        """Lets the sampler choose a value for each parameter that exists."""
        values: dict[str, Value] = {}
        for parameter in self.parameters:
            if parameter.exists(values):
                values[parameter.name] = parameter.suggest(trial)
        return values

    def overrides(self, values: Mapping[str, Value]) -> list[str]:
        """Gives the overrides that set these values, of this space or added to it."""
        known = {p.name: p for p in self.parameters}
        return [
            known[name].override(value) if name in known else f"{name}={literal(value)}"
            for name, value in values.items()
        ]

    def corners(self) -> Iterator[dict[str, Value]]:
        """Gives sets of values in which each parameter takes each of its corners at least once.

        Raises:
            SearchError: a parameter exists with no values of the others.
        """
        pending = {p.name: p.corners() for p in self.parameters}
        while any(pending.values()):
            wanted = next(p for p in self.parameters if pending[p.name])
            parents = self._parents(wanted)
            values: dict[str, Value] = {}
            for p in self.parameters:
                if p.exists(values):
                    values[p.name] = parents.get(p.name, (pending[p.name] or p.corners())[0])
                    if values[p.name] in pending[p.name]:
                        pending[p.name].remove(values[p.name])
            yield values

    def points(self) -> list[dict[str, Value]]:
        """Gives every point of the grid, the last parameter changing fastest.

        Raises:
            SearchError: there is no end of them, or far too many.
        """
        points = list(
            itertools.islice(_assignments(self.parameters, Parameter.grid), MOST_POINTS + 1)
        )
        if len(points) > MOST_POINTS:
            raise too_many_points()
        return points

    def _parents(self, wanted: Parameter) -> dict[str, Value]:
        """Gives values of its ancestors with which a parameter exists.

        Only values that some condition names make a difference, and one that none names.
        """
        by_name = {p.name: p for p in self.parameters}
        names, line = set(), [wanted]
        named: dict[str, list[Value]] = {}
        while line:
            for name, accepted in line.pop().when_items():
                named.setdefault(name, []).extend(accepted)
                if name not in names:
                    names.add(name)
                    line.append(by_name[name])
        ancestors = [p for p in self.parameters if p.name in names]

        def worth_a_look(p: Parameter) -> list[Value]:
            return [*dict.fromkeys(named[p.name]), *p.corners()]

        for values in _assignments(ancestors, worth_a_look):
            if wanted.exists(values):
                return values
        raise SearchError(f"{wanted.text} can never be: no values fulfil its `when`")


def _assignments(
    parameters: Sequence[Parameter],
    values_of: Callable[[Parameter], Iterable[Value]],
    values: dict[str, Value] | None = None,
) -> Iterator[dict[str, Value]]:
    """Gives every set of values, the last parameter changing fastest, of those that exist."""
    values = values or {}
    if not parameters:
        yield values
        return
    first, *rest = parameters
    if not first.exists(values):
        yield from _assignments(rest, values_of, values)
        return
    for value in values_of(first):
        yield from _assignments(rest, values_of, {**values, first.name: value})


@dataclass(frozen=True)
class _Line:
    """An override as it was written, and what it is called in messages."""

    override: Override
    named: str
    when: Condition | None = None
    is_argument: bool = False

    @classmethod
    def of_file(cls, parser: OverridesParser, key: str, value: Any) -> _Line:
        place, when = f"hydra.sweeper.params.{key}", None
        if isinstance(value, Mapping):
            if set(value) != {"when", "values"} or not isinstance(value["when"], Mapping):
                raise SearchError(
                    f"{place}={dict(value)!r} is neither values nor a parameter under a condition, "
                    "which has `when`, as {model: lstm}, and `values`, as interval(0, 1)"
                )
            when, value = {str(k): _accepted(v) for k, v in value["when"].items()}, value["values"]
        text = f"{key}={_written(value)}"
        return cls(_parse(parser, text, named=place), f"hydra.sweeper.params.{text}", when)

    @classmethod
    def of_argument(cls, parser: OverridesParser, argument: str) -> _Line:
        return cls(_parse(parser, argument, named=argument), argument, is_argument=True)

    @property
    def name(self) -> str:
        return self.override.get_key_element().lstrip("+")

    @property
    def text(self) -> str:
        return self.override.input_line or ""

    @property
    def is_searched(self) -> bool:
        """Says whether it differs from trial to trial: in its value, or in whether it is there."""
        return self.override.is_sweep_override() or bool(self.when)

    @property
    def value(self) -> Value:
        value = self.override.value()
        return value.text if isinstance(value, QuotedString) else value


def _parents_first(lines: Mapping[str, _Line]) -> list[str]:
    """Gives the names in the order in which they were written, but parents before children."""
    ordered: dict[str, None] = {}
    open_names: list[str] = []

    def add(name: str) -> None:
        if name in open_names:
            names = ", ".join(open_names[open_names.index(name) :])
            raise SearchError(
                f"hydra.sweeper.params: the conditions of {names} depend on each other"
            )
        open_names.append(name)
        for parent in lines[name].when or {}:
            if parent not in lines:
                raise SearchError(
                    f"{lines[name].named} exists when {parent} has certain values, but {parent} "
                    "is neither searched nor set; give it in hydra.sweeper.params"
                )
            add(parent)
        open_names.pop()
        ordered.setdefault(name)

    for name in lines:
        add(name)
    return list(ordered)


def _reduced(
    line: _Line, lines: Mapping[str, _Line], parameters: Mapping[str, Parameter | None]
) -> Condition | None:
    """Gives what is open of the condition, None where the parameter can never exist."""
    open_terms = {}
    for name, accepted in (line.when or {}).items():
        parent = parameters[name]
        if parent is not None:
            open_terms[name] = _possible(line, accepted, lines[name], parent)
            if not open_terms[name]:
                return None
        elif lines[name].is_searched or not any(same(lines[name].value, v) for v in accepted):
            return None
    return open_terms


def _possible(
    line: _Line, accepted: tuple[Value, ...], parent_line: _Line, parent: Parameter
) -> tuple[Value, ...]:
    """Gives those values of a condition that its parent can have.

    The command line may have narrowed the parent; in the file itself each must be one of its.
    """
    possible = []
    for value in accepted:
        try:
            possible.append(parent.read(value))
        except SearchError as error:
            if not parent_line.is_argument:
                raise SearchError(f"{line.named} has a `when` that cannot be: {error}") from error
    return tuple(possible)


def _accepted(value: Any) -> tuple[Value, ...]:
    return tuple(value) if isinstance(value, list) else (value,)


def _written(value: Any) -> str:
    """Gives an entry of `hydra.sweeper.params` in the grammar; a YAML list is a choice."""
    if isinstance(value, list):
        several = ",".join(map(_written, value))
        return several if len(value) > 1 else f"choice({several})"
    return value if isinstance(value, str) else literal(value)


def _parse(parser: OverridesParser, line: str, *, named: str) -> Override:
    try:
        (override,) = parser.parse_overrides([line])  # the singular does not know of `glob`
        return override
    except HydraException as error:
        is_empty = line.replace(" ", "").endswith("=choice()")
        why = "the choice is empty" if is_empty else str(error).splitlines()[0]
        raise SearchError(f"{named} is no Hydra override: {line!r}: {why}") from error

"""Hydra's override grammar read as Optuna's distributions.

What the grammar's ends mean is fixed here, once: an interval holds both its ends, a range's stop is
exclusive.
"""

from __future__ import annotations

import itertools
import math
from decimal import Decimal

from hydra.core.override_parser.types import (
    IntervalSweep,
    Override,
    QuotedString,
    RangeSweep,
    Sweep,
    Transformer,
)
from hydra.errors import HydraException
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from seqsweep.errors import SearchError, reason
from seqsweep.search.space.parameter import Condition, Parameter, Value


def read_parameter(override: Override, *, named: str, when: Condition | None) -> Parameter:
    """Reads one override; `named` is what it is called in messages.

    A single value is a choice of one: under a condition it is there or not.

    Raises:
        SearchError: there is no such space.
    """
    key, text = override.get_key_element(), override.input_line or ""
    raw: frozenset[str] = frozenset()
    try:
        if override.is_interval_sweep():
            distribution = _interval(override.value())
        elif override.is_range_sweep():
            distribution = _range(override.value())
        else:
            distribution, raw = _choice(override)
    except (ValueError, HydraException) as error:  # ours, Optuna's constructors', a glob's
        raise SearchError(f"{named} cannot be searched: {reason(error)}") from error
    return Parameter(key, distribution, text, raw, when)


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


def _choice(override: Override) -> tuple[CategoricalDistribution, frozenset[str]]:
    categories, raw = [], set()
    is_sweep = override.is_sweep_override()
    for element in override.sweep_iterator() if is_sweep else [override.value()]:
        if isinstance(element, Sweep):
            raise ValueError("a choice within another is no value; write all values in one")
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
    return CategoricalDistribution(categories), frozenset(raw)

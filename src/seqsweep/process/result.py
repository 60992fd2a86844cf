"""What a task function gave back, as an outcome."""

from __future__ import annotations

import math
import traceback
from typing import Any

from seqsweep.errors import UserError, first_line
from seqsweep.outcome import Completed, Failed, Misfit
from seqsweep.record import counted
from seqsweep.secrets import masked

LONGEST = 60  # characters of a value in a reason


def returned(value: Any, *, n_values: int) -> Completed | Failed:
    """Gives the finite values of the objectives, or says why `value` holds none."""
    is_several = isinstance(value, tuple | list) or getattr(value, "ndim", 0) == 1
    values = tuple(value) if is_several else (value,)
    if len(values) != n_values:
        return Misfit(
            f"the function returned {counted(len(values), 'value')}, but hydra.sweeper.direction "
            f"names {counted(n_values, 'objective')}"
        )
    try:
        numbers = tuple(map(_number, values))
    except (TypeError, ValueError):
        return Failed(f"the function returned {_short(value)}, which is no number")
    if not all(map(math.isfinite, numbers)):
        return Failed(f"the objective is not finite: {_short(value)}")
    return Completed(numbers)


def raised(error: BaseException) -> Failed:
    """Gives the failure that an exception is; a user's mistake needs no traceback."""
    why, kind = storable(first_line(error)), type(error).__name__
    if isinstance(error, UserError):
        return Failed(why)
    text = storable("".join(traceback.format_exception(error)))
    return Failed(why if why == kind else f"{kind}: {why}", text, again=True)


def storable(text: str) -> str:
    """Gives text that any store may hold: no secret, and no half of a surrogate pair."""
    return masked(text).encode("utf-8", "replace").decode()


def _number(value: Any) -> float:
    if isinstance(value, bool | str | bytes):
        raise TypeError(value)
    return float(value)


def _short(value: Any) -> str:
    text = masked(repr(value))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"

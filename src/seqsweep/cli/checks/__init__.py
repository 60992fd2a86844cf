"""What `seqsweep doctor` looks at: a function a matter, which gives what it saw and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Check:
    """One row: what was looked at, how it stands, what was seen and what to do about it."""

    name: str
    state: Literal["ok", "warn", "fail"]
    seen: str
    do: str = ""


def ok(name: str, seen: str) -> Check:
    """Gives a row of what is well."""
    return Check(name, "ok", seen)


def warn(name: str, seen: str, do: str) -> Check:
    """Gives a row of what sweeps run without."""
    return Check(name, "warn", seen, do)


def fail(name: str, seen: str, do: str) -> Check:
    """Gives a row of what keeps sweeps from running, or from running right."""
    return Check(name, "fail", seen, do)

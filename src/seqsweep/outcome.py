"""How a trial ended."""

from __future__ import annotations

from dataclasses import dataclass

INTERRUPTED = "interrupted"  # the reason of what Ctrl-C or SIGTERM ended
EXIT_INTERRUPTED = 130


@dataclass(frozen=True)
class Completed:
    """The trial reached its end with these finite values, one an objective."""

    values: tuple[float, ...]


@dataclass(frozen=True)
class Pruned:
    """The pruner stopped the trial at its report number `step`."""

    step: int


@dataclass(frozen=True)
class Failed:
    """The trial ended without a value.

    `reason` is one line; `again` says that another try with the same parameters may go better.
    """

    reason: str
    traceback: str = ""
    again: bool = False


@dataclass(frozen=True)
class Misfit(Failed):
    """What the function gives does not fit the sweep, in this trial and so in any other."""


@dataclass(frozen=True)
class DeviceFailed(Failed):
    """The device on which it ran has failed, and so no fault of the trial's ended it."""


@dataclass(frozen=True)
class Unconcluded(Failed):
    """A sweep has its trials, and what is done once with the best of them has failed."""


Outcome = Completed | Pruned | Failed

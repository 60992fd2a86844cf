"""The errors that a user can cause; each prints as one sentence, without a traceback."""

from __future__ import annotations

from collections.abc import Iterator

from seqsweep.secrets import masked


class UserError(Exception):
    """What is wrong, the value received and what is accepted, on one line without secrets."""

    def __init__(self, sentence: str = "") -> None:
        super().__init__(" ".join(masked(sentence).splitlines()))


class ConfigError(UserError):
    """A configuration value of the wrong type, out of its range or at odds with another."""


class DataError(UserError):
    """A data set that is missing, malformed or inconsistent."""


class TrackingError(UserError):
    """A tracking store that cannot be opened or written."""


class SearchError(UserError):
    """A search space, sampler, pruner or study that cannot be used as asked."""


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Gives an error and those behind it, the first one last."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def reason(error: BaseException) -> str:
    """Gives an error's text on one line and without secrets, its type's name where it has none."""
    return " ".join(masked(str(error)).split()) or type(error).__name__


def first_line(error: BaseException) -> str:
    """Gives the first line of that text, without secrets; its type's name where it has none."""
    lines = masked(str(error)).strip().splitlines()
    return lines[0] if lines else type(error).__name__

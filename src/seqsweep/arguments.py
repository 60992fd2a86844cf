"""Around Hydra: the command line before it sees it, and what it says of one that is wrong."""

import itertools
import os
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import yaml
from hydra.errors import CompactHydraException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from seqsweep.errors import reason
from seqsweep.secrets import keep_out_of_logs, masked

FULL_ERROR = "HYDRA_FULL_ERROR"
# Hydra's options that take the next argument as their value.
TAKES_VALUE = {"--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd"}
TAKES_VALUE |= {"--package", "-p", "--experimental-rerun"}
_SWEEPER = re.compile(r"\+*hydra\.sweeper=(?!\s*\{)")
_DRY_RUN = re.compile(r"\+*(?:hydra\.sweeper\.)?dry_run=")


def check_the_sweep(folder: Path, argv: list[str]) -> None:
    """Reads the sweep file that `argv` chooses, which Hydra would refuse with a traceback.

    Raises:
        SystemExit: the file cannot be read; the message names it and the line.
    """
    for path in folder.glob("*.yaml"):
        if f"sweep={path.stem}" in argv:
            try:
                OmegaConf.load(path)
            except (OSError, yaml.YAMLError, OmegaConfBaseException, ValueError) as error:
                sys.exit(f"error: the sweep file {path} cannot be read: {reason(error)}")
            except RecursionError:
                sys.exit(f"error: the sweep file {path} is nested too deeply, or holds itself")


def in_hydras_words(argv: list[str]) -> list[str]:
    """Gives `argv` with what is short for an override of Hydra's as that.

    A bare word `sweep` is `sweep=default`, and `dry_run` is the sweeper's.

    Raises:
        SystemExit: `dry_run` without a sweep, which would train, or `+rerun` with one; a sweeper
            that is a plain value.
    """
    named = argv[:1]
    for before, word in itertools.pairwise(argv):
        is_bare = word == "sweep" and before not in TAKES_VALUE
        named.append("sweep=default" if is_bare else word)
    is_sweep = bool({"-m", "--multirun"} & set(named))
    if is_sweep and any(word.lstrip("+").startswith("rerun=") for word in named):
        sys.exit("error: +rerun trains one trial again, by itself: leave out -m")
    if not is_sweep and any(_DRY_RUN.match(word) for word in named):
        sys.exit("error: dry_run shows what a sweep would do: give it with -m, as `-m sweep`")
    for word in filter(_SWEEPER.match, named):
        sys.exit(
            f"error: {masked(word)}: hydra.sweeper has fields, and is no value; one of them, as "
            "hydra.sweeper.n_trials=20, or another sweeper, as hydra/sweeper=basic, is accepted"
        )
    return [_DRY_RUN.sub("hydra.sweeper.dry_run=", word) for word in named]


def run_or_tell(main: Callable[[], None]) -> None:
    """Runs a Hydra program; ends it with one sentence where Hydra cannot compose its config.

    Hydra itself prints several lines. Where the user asks it for the whole error, he gets that.
    """
    sys.excepthook = tell_without_secrets
    keep_out_of_logs()  # with hydra.verbose=true Hydra logs the whole config
    if os.environ.get(FULL_ERROR) == "1":
        return main()
    os.environ[FULL_ERROR] = "1"  # for this alone it raises what it cannot compose
    try:
        return main()
    except Exception as error:
        if not is_hydras(error):
            raise
        sys.exit(f"error: {masked(told(error))}")


def is_hydras(error: Exception) -> bool:
    """Says whether Hydra refuses what it was given.

    Of a defaults list that is none, a group without a name, or no sweeper, it says so by a plain
    ValueError, AssertionError or RuntimeError.
    """
    if isinstance(error, CompactHydraException | OmegaConfBaseException):
        return True
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    is_plain = isinstance(
        error, ValueError | AssertionError | TypeError | AttributeError | RuntimeError
    )
    return is_plain and frame.f_globals["__name__"].startswith(("hydra.", "omegaconf."))


def told(error: Exception) -> str:
    """Gives an error of Hydra's as one sentence.

    Of an override that holds a secret it does not say which of its characters are wrong.
    """
    said = one_sentence(str(error), str(error.__cause__ or ""))
    if isinstance(error, OverrideParseException):
        is_secret = masked(error.override) != error.override
        said = f"{error.override}: {'it is no Hydra override' if is_secret else said}"
    return " ".join(said.split()) or "Hydra cannot compose the config"


def tell_without_secrets(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Prints a traceback as Python does, but for the secrets in it."""
    print(masked("".join(traceback.format_exception(kind, error, trace))), end="", file=sys.stderr)


def one_sentence(*texts: str) -> str:
    """Joins the lines of Hydra's errors, without OmegaConf's inner types and the search path."""
    parts: list[str] = []
    for line in dict.fromkeys(line.strip() for text in texts for line in text.splitlines()):
        if line.startswith("Config search path"):
            break
        if line.startswith("full_key: "):
            parts[-1] += f" at {line.removeprefix('full_key: ')}"
        elif parts and parts[-1].endswith(":"):
            parts[-1] += f" {line}"
        elif parts and parts[-1].startswith("Available options"):
            parts[-1] += f", {line}"
        elif line and not line.startswith(("object_type", "reference_type", "See https")):
            parts.append(line.removesuffix("."))
    return "; ".join(parts)

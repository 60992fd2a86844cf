"""Compares two repeated trials: `python -m seqsweep.search.difference STORE STUDY TRIAL TRIAL`.

STORE is the file or the URL of the studies, as mlruns/optuna.db; a TRIAL is its number.
"""

from __future__ import annotations

import sys

import optuna
from optuna.trial import FrozenTrial

from seqsweep.errors import SearchError, UserError
from seqsweep.search.report.display import show_params
from seqsweep.search.report.intervals import Interval, by_seed, interval, paired
from seqsweep.search.study.store.opening import open_to_read
from seqsweep.search.study.study import silence_optuna
from seqsweep.stores import file_of_studies


def main(arguments: list[str]) -> int:
    """Prints the means of the two trials and their difference; gives the exit code."""
    if len(arguments) != 4 or arguments[0].startswith("-"):
        print(__doc__.splitlines()[0].partition(": ")[2].strip("`."), file=sys.stderr)
        return 2
    store, study, *numbers = arguments
    silence_optuna()
    try:
        first, second = (repeated(store, study, number) for number in numbers)
        if by_seed(first).keys() != by_seed(second).keys():
            raise SearchError(
                f"trials {numbers[0]} and {numbers[1]} were not trained under one set of seeds"
            )
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for trial in (first, second):
        mean = interval([*by_seed(trial).values()])
        print(f"trial {trial.number}  {show_params(trial.params)}  {shown(mean)}")
    difference = paired(by_seed(first), by_seed(second))
    print(f"difference  {shown(difference, sign='+')} (95%, {len(by_seed(first))} pairs of seeds)")
    return 0


def repeated(store: str, study: str, number: str) -> FrozenTrial:
    """Gives a completed trial that was trained under several seeds.

    Raises:
        SearchError: there is none of that number.
    """
    file = file_of_studies(store)
    if file is not None and not file.is_file():
        raise SearchError(f"{store} does not exist: the file of the studies is expected")
    storage = open_to_read(store)
    try:
        trials = optuna.load_study(study_name=study, storage=storage).trials
    except KeyError as error:
        names = ", ".join(optuna.get_all_study_names(storage)) or "none"
        raise SearchError(f"{store} has no study {study!r}, it has: {names}") from error
    found = {str(trial.number): trial for trial in trials if by_seed(trial)}
    if number not in found:
        raise SearchError(
            f"{study} has no trial {number!r} that was completed under several seeds, it has: "
            f"{', '.join(found) or 'none'}"
        )
    return found[number]


def shown(found: Interval, *, sign: str = "") -> str:
    """Writes a mean and half the width of its interval."""
    return f"{found.mean:{sign}.4f} ± {found.half_width:.4f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

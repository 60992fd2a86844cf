"""What a person reads of a sweep."""

import io

import pytest
from rich.console import Console

from seqsweep.outcome import Completed, Failed, Pruned
from seqsweep.search.display import Display, short_names, show_params


def printed(outcome, *, best: bool = False, params=None) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=200)
    with (
        Display(console, total=12, names=["val_accuracy"], n_slots=1) as display,
        display.trial(3, "cpu:0", params or {"model.n_hidden": 64}) as shown,
    ):
        shown.ended(outcome, best=best)
    return stream.getvalue()


def test_a_completed_trial_is_one_line_with_its_value_and_parameters():
    line = printed(Completed((0.93125,)), best=True)
    assert line.startswith("[ 1/12] trial 3  completed  val_accuracy 0.9313 (best so far)")
    assert line.endswith("n_hidden=64\n")
    assert line.count("\n") == 1


@pytest.mark.parametrize(
    ("outcome", "words"),
    [(Pruned(2), "pruned at 2"), (Failed("why [not]"), "failed: why [not]")],
)
def test_any_other_end_is_one_line_too(outcome, words):
    line = printed(outcome)
    assert words in line
    assert line.count("\n") == 1


def test_brackets_in_a_parameter_are_no_markup():
    assert "x=[bold]" in printed(Completed((1.0,)), params={"x": "[bold]"})


def test_parameters_are_called_by_their_last_word_unless_two_share_it():
    names = short_names({"model.size": 1, "data.size": 2, "optimizer.rate": 3})
    assert names == {"model.size": "model.size", "data.size": "data.size", "optimizer.rate": "rate"}


def test_numbers_are_shown_with_four_digits():
    assert show_params({"a.b": 0.000123456, "c": 12, "d": None}) == "b=0.0001235 c=12 d=None"

"""What a person reads of a sweep."""

import io

import pytest
from rich.console import Console

from seqsweep.outcome import Completed, Failed, Pruned
from seqsweep.process.messages import Judge, Report
from seqsweep.search.report.display import Display, short_names, show_params


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


def test_a_trial_that_is_tried_again_says_so_and_does_not_count():
    stream = io.StringIO()
    with Display(Console(file=stream, width=200), total=1, names=["x"], n_slots=1) as display:
        with display.trial(0, "cpu:0", {}) as shown:
            shown.ended(Failed("why", again=True), best=False, is_retried=True)
        with display.trial(1, "cpu:0", {}) as shown:
            shown.ended(Completed((1.0,)), best=True, retry_of=0)
    first, second = stream.getvalue().splitlines()
    assert first.startswith("[0/1] trial 0 failed: why; to be tried again")
    assert second.startswith("[1/1] trial 1 (again 0) completed")


def test_a_terminal_shows_counts_the_best_the_time_left_and_each_slots_own_progress(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    stream = io.StringIO()
    console = Console(file=stream, width=160, force_terminal=True, _environ={})
    with (
        Display(console, total=4, names=["loss"], n_slots=2) as display,
        display.trial(7, "gpu:1", {"x": 1}) as going,
    ):
        with display.trial(3, "gpu:0", {"x": 2}) as shown:
            shown.ended(Completed((0.25,)), best=True)
        with display.trial(4, "gpu:0", {"x": 5}) as shown:
            shown.ended(Pruned(2), best=False)
        going.progressed(Report((), Judge(1, {"loss": 0.5}), done=0.5))
        stream.truncate(0)
        display._progress.refresh()
        text = stream.getvalue()
    assert "best   trial 3  loss 0.2500" in text
    assert "1 running, 1 completed, 1 pruned" in text
    assert "left" in text
    assert "gpu:1  trial 7" in text
    assert "loss 0.5000" in text


def test_a_log_gets_lines_and_no_bars(monkeypatch):
    monkeypatch.setenv("CI", "true")
    stream = io.StringIO()
    console = Console(file=stream, width=160, force_terminal=True, color_system=None)
    with (
        Display(console, total=4, names=["loss"], n_slots=2) as display,
        display.trial(3, "gpu:0", {"x": 2}) as shown,
    ):
        shown.ended(Completed((0.25,)), best=True)
    assert stream.getvalue().count("\n") == 1
    assert "gpu:0" not in stream.getvalue()


def test_brackets_in_a_parameter_are_no_markup():
    assert "x=[bold]" in printed(Completed((1.0,)), params={"x": "[bold]"})


def test_parameters_are_called_by_their_last_word_unless_two_share_it():
    names = short_names({"model.size": 1, "data.size": 2, "optimizer.rate": 3})
    assert names == {"model.size": "model.size", "data.size": "data.size", "optimizer.rate": "rate"}


def test_numbers_are_shown_with_four_digits():
    assert show_params({"a.b": 0.000123456, "c": 12, "d": None}) == "b=0.0001235 c=12 d=None"

"""Jobs of one trial under several seeds are judged as one."""

import math
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqsweep.outcome import Completed, Failed, Misfit, Pruned
from seqsweep.process.messages import Judge
from seqsweep.search.workers.repeats import SIBLING, Together, combine, mean


def run(curves: list[list[float]], on_mean) -> list[int]:
    """Lets a thread for each curve report it; gives how many reports each made."""
    together, made = Together(len(curves), on_mean), [0] * len(curves)

    def job(index: int) -> None:
        for step, value in enumerate(curves[index], start=1):
            made[index] += 1
            if together.judge(index, Judge(step, {"loss": value})):
                break
        together.ended(index)

    threads = [threading.Thread(target=job, args=(i,)) for i in range(len(curves))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
        assert not thread.is_alive()
    return made


@settings(deadline=None)
@given(st.integers(1, 4), st.integers(1, 5), st.randoms(use_true_random=False))
def test_each_step_is_judged_once_by_the_mean_of_all(n_jobs, n_steps, random):
    curves = [[random.random() for _ in range(n_steps)] for _ in range(n_jobs)]
    heard: list[Judge] = []
    run(curves, lambda judge: bool(heard.append(judge)))
    assert [judge.step for judge in heard] == list(range(1, n_steps + 1))
    for step, judge in enumerate(heard):
        assert judge.metrics["loss"] == pytest.approx(sum(c[step] for c in curves) / n_jobs)


def test_one_that_has_ended_stands_in_the_mean_with_what_it_said_last():
    heard: list[float] = []
    run([[1.0], [3.0, 5.0, 7.0]], lambda judge: bool(heard.append(judge.metrics["loss"])))
    assert heard == [2.0, 3.0, 4.0]


def test_all_stop_where_the_mean_is_stopped():
    made = run([[1.0] * 9, [2.0] * 9, [3.0] * 9], lambda judge: judge.step == 4)
    assert made == [4, 4, 4]


def test_the_mean_has_the_metrics_that_all_have():
    assert mean([{"a": 1.0, "b": 2.0}, {"a": 3.0}]) == {"a": 2.0}


@pytest.mark.parametrize(
    ("outcomes", "combined"),
    [
        ((Completed((1.0, 4.0)), Completed((3.0, 8.0))), Completed((2.0, 6.0))),
        ((Pruned(2), Pruned(3)), Pruned(3)),
        ((Completed((1.0,)), Pruned(3)), Pruned(3)),
        (
            (SIBLING, Failed("why", "trace", again=True)),
            Failed("with seed 1: why", "trace", again=True),
        ),
        ((Completed((1.0,)), Misfit("two")), Misfit("two")),
    ],
)
def test_the_outcome_is_the_mean_or_what_any_of_them_ended_in(outcomes, combined):
    assert combine(dict(enumerate(outcomes))) == combined


def test_where_judging_fails_no_job_is_left_waiting():
    def fails(_judge: Judge) -> bool:
        raise OSError("the store is away")

    together, raised = Together(3, fails), []

    def job(index: int) -> None:
        try:
            together.judge(index, Judge(1, {"loss": 1.0}))
        except OSError as error:
            raised.append(error)
        finally:
            together.ended(index)

    threads = [threading.Thread(target=job, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
        assert not thread.is_alive()
    assert len(raised) == 3


def test_a_job_that_is_gone_waits_for_nobody():
    together = Together(2, lambda judge: False)
    gone = threading.Event()
    thread = threading.Thread(
        target=lambda: together.judge(0, Judge(1, {"loss": 1.0}), gone.is_set)
    )
    thread.start()
    thread.join(timeout=0.5)
    assert thread.is_alive()
    gone.set()
    thread.join(timeout=20)
    assert not thread.is_alive()


@pytest.mark.parametrize("values", [(math.inf, -math.inf), (1.7e308, 1.7e308), (math.nan, 1.0)])
def test_the_mean_of_any_numbers_is_a_number_or_none_and_never_an_error(values):
    (found,) = mean([{"x": value} for value in values]).values()
    assert isinstance(found, float)
    assert found == 1.7e308 or math.isnan(found)


def test_an_interrupted_repeat_is_an_interrupted_trial():
    outcomes = {0: Failed("interrupted"), 1: SIBLING}
    assert combine(outcomes) == Failed("interrupted")

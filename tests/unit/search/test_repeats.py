"""Jobs of one trial under several seeds are judged as one."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqsweep.outcome import Completed, Failed, Misfit, Pruned
from seqsweep.process.messages import Judge
from seqsweep.search.repeats import SIBLING, Together, combine, mean


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

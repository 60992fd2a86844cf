"""`seqsweep compare` against Optuna's and MLflow's own reading of both sides."""

import shutil

import pytest

from seqsweep.errors import UserError


def rows(told, section):
    return {row["name"]: (row["a"], row["b"]) for row in told["sections"][section]}


def test_two_trials_are_told_as_optuna_and_mlflow_have_them(
    asked, swept, study, runs_by_trial, tmp_path
):
    told = asked("compare", "sphere-2/0", "sphere-2/3", cwd=swept)
    trials = study("sphere-2").trials
    pair = (trials[0], trials[3])
    for name in ("x", "y"):
        assert rows(told, "parameters")[name] == tuple(t.params[name] for t in pair)
    assert rows(told, "values")["value"] == tuple(t.value for t in pair)
    assert rows(told, "times")["took"] == tuple(t.duration.total_seconds() for t in pair)
    runs = runs_by_trial(shutil.copytree(swept, tmp_path / "copy"), "sphere")
    metrics = []
    for number in ("0", "3"):
        (run,) = [r for r in runs[number] if r.data.tags["seqsweep.study"] == "sphere-2"]
        metrics.append(run.data.metrics)
    names = {**metrics[0], **metrics[1]}
    assert rows(told, "metrics") == {n: (metrics[0].get(n), metrics[1].get(n)) for n in names}
    assert names


def test_what_differs_comes_first_and_is_marked(asked, seqsweep, swept):
    told = asked("compare", "sphere-2/0", "sphere-2/1", cwd=swept)["sections"]["parameters"]
    assert [row["name"] for row in told] == ["x", "y"]
    assert [row["differs"] for row in told] == [True, False]  # y is 3 in all
    for row in told:
        assert row["differs"] is (row["a"] != row["b"])
    said = seqsweep("compare", "sphere-2/0", "sphere-2/1", cwd=swept).stdout.splitlines()
    (x,) = [line for line in said if line.split()[:1] == ["x"]]
    (y,) = [line for line in said if line.split()[:1] == ["y"]]
    assert x.rstrip().endswith("≠")
    assert not y.rstrip().endswith("≠")


def test_a_trial_and_its_own_run_differ_in_nothing_that_counts(asked, swept):
    (best,) = asked("best", "sphere-2", cwd=swept)["trials"]
    told = asked("compare", f"sphere-2/{best['number']}", best["run_id"], cwd=swept)
    for section in ("parameters", "metrics"):
        found = told["sections"][section]
        assert found
        assert not any(row["differs"] for row in found), found


def test_two_sweeps_are_told_as_optuna_reads_them(asked, swept, study):
    told = asked("compare", "sphere-1", "sphere-2", cwd=swept)
    studies = [study("sphere-1"), study("sphere-2")]
    assert rows(told, "best")["value"] == tuple(s.best_value for s in studies)
    best = rows(told, "best parameters")
    assert best["x"] == tuple(s.best_params["x"] for s in studies)
    spans = [
        max(t.datetime_complete for t in s.trials) - min(t.datetime_start for t in s.trials)
        for s in studies
    ]
    assert rows(told, "time")["first begin to last end"] == tuple(
        span.total_seconds() for span in spans
    )
    counts = [sum(t.state.name == "COMPLETE" for t in s.trials) for s in studies]
    assert rows(told, "trials")["completed"] == tuple(counts)


def test_without_mlflows_store_the_study_is_told_and_what_is_missing(seqsweep, asked, swept):
    words = ["compare", "sphere-2/0", "sphere-2/1", "--tracking-uri", "gone.db"]
    told = asked(*words, cwd=swept)
    assert told["missing"].startswith(f"there is no MLflow store at {swept}/gone.db")
    assert [row["name"] for row in told["sections"]["parameters"]] == ["x", "y"]
    assert told["sections"]["metrics"] == []
    assert f"without MLflow: {told['missing']}" in seqsweep(*words, cwd=swept).stdout


def test_the_spaces_of_two_sweeps_are_told_in_words(asked, swept):
    space = rows(asked("compare", "sphere-1", "sphere-2", cwd=swept), "space")
    assert space == {
        "x": ("one of 1, 2, a", "-1 to 1"),
        "y": ("whole number, -5 to 5", "one of 3"),
    }


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        ("sphere-1", "sphere-1/0", "sphere-1 is a sweep and sphere-1/0 a trial"),
        ("sphere-1/0", "sphere-1/8", "sphere-1 has no trial '8'; it has 0 to 7"),
        ("sphere-1/0", "sphere-1/x", "sphere-1 has no trial 'x'"),
        ("sphere-1/0", "0" * 32, f"has no run {'0' * 32}"),
        ("sphere-9", "sphere-1", "there is no sweep 'sphere-9'"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(asked, swept, a, b, said):
    with pytest.raises(UserError) as refused:
        asked("compare", a, b, cwd=swept)
    assert said in str(refused.value)

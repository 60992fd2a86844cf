"""What is found of a sweep is what another reader of its study finds."""

import contextlib
import io
import itertools
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import optuna
import pandas as pd
import pytest
import scipy.stats
from matplotlib import image
from optuna.trial import TrialState

from seqsweep.errors import TrackingError
from seqsweep.search.report.findings.drawing import importances_of, write
from seqsweep.search.report.findings.figures import draw_interactive, draw_picture, figures
from seqsweep.search.report.findings.files import FOLDER, PAGE, PICTURES, SUMMARY, TABLE
from seqsweep.search.report.findings.hidden import without_secrets
from seqsweep.search.report.findings.snapshot import About, Snapshot, spread
from seqsweep.search.report.findings.summary import summary
from seqsweep.search.report.findings.table import table
from seqsweep.search.report.findings.watch import Watch
from seqsweep.tracking.none import NoRun

# The process that draws ignores all warnings of Optuna's on what is experimental.
pytestmark = [
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
    pytest.mark.filterwarnings("ignore:PedAnovaImportanceEvaluator computes:UserWarning"),
]
NAMES = {1: ("val_accuracy",), 2: ("val_accuracy", "n_parameters")}
DIRECTIONS = {1: ("maximize",), 2: ("maximize", "minimize")}
OF_ALL = {"optimization_history", "parallel_coordinate", "slice", "edf", "timeline"}


def about(n_objectives: int = 1, **changes) -> About:
    values = {
        "study": "default-1",
        "names": NAMES[n_objectives],
        "directions": DIRECTIONS[n_objectives],
        "asks": "which is best?",
        "settings": {"sampler": "RandomSampler"},
        "space": {"model.n_hidden": "int(interval(8, 64))"},
        "command": "python src/run.py -m sweep",
        "reruns": "python src/run.py +rerun=",
        "unit": "samples",
    }
    return About(**{**values, **changes})


def searched(n_trials: int, n_objectives: int = 1, *, prunes: bool = True) -> optuna.Study:
    """Gives a study of a function whose best point is known: half the space's ends."""
    study = optuna.create_study(
        directions=list(DIRECTIONS[n_objectives]), sampler=optuna.samplers.RandomSampler(seed=1)
    )

    def objective(trial):
        n_hidden = trial.suggest_int("model.n_hidden", 8, 64)
        rate = trial.suggest_float("optimizer.learning_rate", 1e-4, 1e-1, log=True)
        score = 1 - ((n_hidden - 36) / 56) ** 2 - rate
        trial.set_user_attr("length", 100)
        if n_objectives == 2:
            return score, n_hidden**2
        for step in (1, 2, 3):
            trial.report(score - 1 / step, step)
            if prunes and trial.number % 3 == 2 and step == 2:
                raise optuna.TrialPruned
        if trial.number % 7 == 6:
            trial.set_user_attr("reason", "it broke")
            raise ValueError
        return score

    study.optimize(objective, n_trials, catch=ValueError)
    return study


def snapshot(study: optuna.Study, n_objectives: int = 1, **changes) -> Snapshot:
    best = [t.number for t in study.best_trials] if len(study.trials) else []
    return Snapshot(about(n_objectives), study.trials, **{"best": best, **changes})


@pytest.fixture(scope="module", params=[1, 2])
def one(request) -> Snapshot:
    return snapshot(searched(20, request.param), request.param)


def drawn(found: Snapshot) -> dict:
    return {figure.name: figure for figure in figures(found, importances_of(found))}


def test_every_figure_is_drawn_by_both_libraries(one):
    for figure in drawn(one).values():
        assert draw_interactive(figure).data
        picture = image.imread(io.BytesIO(draw_picture(figure)))
        assert picture.shape[0] > 100
        assert picture.std() > 0.01


def test_a_study_of_one_objective_has_all_of_optunas_figures():
    found = snapshot(searched(20))
    assert set(drawn(found)) == OF_ALL | {"param_importances", "contour", "intermediate_values"}


def test_a_study_of_two_objectives_has_the_figures_of_each_and_the_front():
    found = snapshot(searched(20, 2), 2)
    kinds = (OF_ALL - {"timeline"}) | {"param_importances", "contour"}
    each = {f"{name}_{kind}" for name in NAMES[2] for kind in kinds}
    assert set(drawn(found)) == each | {"pareto_front", "timeline"}


def test_a_study_without_a_completed_trial_has_what_can_be_drawn():
    study = searched(3)
    found = snapshot(study, best=[])
    pruned = [t for t in study.trials if t.state is TrialState.PRUNED]
    found = Snapshot(found.about, pruned)
    assert set(drawn(found)) == {"intermediate_values", "timeline"}
    assert "No trial has completed" in summary(found, {})


def test_a_pruned_trials_curve_is_dotted_and_crossed_and_no_others_is():
    study = searched(9)
    figure = drawn(snapshot(study))["intermediate_values"]
    with_curve = [t for t in study.trials if t.intermediate_values and t.state.name != "FAIL"]
    is_pruned = [t.state is TrialState.PRUNED for t in with_curve]
    curves = draw_interactive(figure).data
    assert [curve.line.dash == "dot" for curve in curves] == is_pruned
    assert [curve.marker.symbol == ("circle", "x") for curve in curves] == is_pruned
    lines = figure.draw(optuna.visualization.matplotlib).lines
    assert [line.get_linestyle() == ":" for line in lines] == is_pruned


def test_where_only_some_trials_are_drawn_they_keep_their_numbers_and_are_the_best():
    study = searched(40, prunes=False)
    completed = [t for t in study.trials if t.state is TrialState.COMPLETE]
    best = sorted(completed, key=lambda t: t.value, reverse=True)[:5]
    shown = snapshot(study).study(5).get_trials()
    assert [t.number for t in shown] == sorted(t.number for t in best)


def _of_one(trial: optuna.trial.FrozenTrial, index: int) -> optuna.trial.FrozenTrial:
    return optuna.trial.create_trial(
        value=trial.values[index], params=trial.params, distributions=trial.distributions
    )


def test_importances_are_those_that_optuna_has_for_the_study(one):
    for index, name in enumerate(one.about.names):
        of_one = optuna.create_study(direction=one.about.directions[index])
        of_one.add_trials(_of_one(trial, index) for trial in one.completed)
        theirs = optuna.importance.get_param_importances(of_one)
        ours = importances_of(one)[name]
        assert ours == {one.short[key]: value for key, value in theirs.items()}


def test_the_table_is_what_optuna_gives_as_a_data_frame(one):
    study = optuna.create_study(directions=list(one.about.directions))
    study.add_trials(one.trials)
    theirs = study.trials_dataframe()
    text = io.StringIO(json.dumps(table(one), default=str))
    ours = pd.read_json(text, orient="split")
    assert list(ours["trial"]) == list(theirs["number"])
    for key in ("model.n_hidden", "optimizer.learning_rate"):
        assert ours[key].to_numpy() == pytest.approx(theirs[f"params_{key}"].to_numpy())
    column = "value" if len(one.about.names) == 1 else "values_0"
    complete = (theirs["state"] == "COMPLETE").to_numpy()
    ours_then = ours[one.about.names[0]].to_numpy()[complete].astype(float)
    assert ours_then == pytest.approx(theirs[column].to_numpy()[complete])
    assert list(ours["samples"]) == [100] * 20


def test_the_interval_over_seeds_is_students():
    values = [0.91, 0.95, 0.93]
    study = searched(1, prunes=False)
    trial = study.trials[0]
    trial.user_attrs = {"values_by_seed": {str(i): [v] for i, v in enumerate(values)}}
    mean, half, n = spread(trial)
    low, high = scipy.stats.t.interval(
        0.95, len(values) - 1, statistics.mean(values), scipy.stats.sem(values)
    )
    assert n == 3
    assert (mean - half, mean + half) == pytest.approx((low, high))


def test_the_report_says_what_was_found_and_how_it_is_done_again():
    study = searched(20)
    study.trials[study.best_trial.number].user_attrs["mlflow_run_id"] = "abc"
    found = snapshot(
        study,
        ended_by="n_trials: 20 trials have ended",
        evaluated={
            study.best_trial.number: {
                "test_accuracy": 0.95,
                "test_accuracy_95_low": 0.9272,
                "test_accuracy_95_high": 0.9659,
            }
        },
    )
    said = summary(found, importances_of(found))
    states = [t.state.name for t in study.trials]
    assert "**Question.** which is best?" in said
    assert f"Trial {study.best_trial.number}: val_accuracy {study.best_value:.4f}" in said
    assert "test_accuracy 0.9500 (95%: 0.9272 to 0.9659)" in said
    share = importances_of(found)["val_accuracy"]["n_hidden"]
    row = f"| `model.n_hidden` | {study.best_params['model.n_hidden']} | {share:.2f} |"
    assert f"{row} `int(interval(8, 64))` |" in said
    assert f"{states.count('COMPLETE')} completed, {states.count('PRUNED')} pruned" in said
    assert f"pruned: {states.count('PRUNED')} at report 2" in said
    assert f"failed, {states.count('FAIL')} trials: it broke" in said
    assert "ended by n_trials: 20 trials have ended" in said
    assert "2,000 samples" in said
    assert "`python src/run.py -m sweep`" in said


def test_the_page_holds_every_figure_and_asks_for_nothing_from_elsewhere(tmp_path):
    found = snapshot(searched(20))
    written = write(found, tmp_path)
    text = (tmp_path / PAGE).read_text()
    assert set(re.findall(r'<h2 id="(\w+)"', text)) == set(drawn(found))
    assert not re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="http', text)
    assert {path.name for path in (tmp_path / PICTURES).iterdir()} == set(written.pictures)
    assert written.problems == ()


def test_a_figure_that_cannot_be_drawn_costs_no_other(tmp_path, monkeypatch):
    def fail(*_arguments, **_more):
        raise RuntimeError("no such colour")

    monkeypatch.setattr(optuna.visualization, "plot_edf", fail)
    written = write(snapshot(searched(20)), tmp_path)
    assert written.problems == ("edf: no such colour",)
    assert "slice.png" in written.pictures


class Kept(NoRun):
    """A run that remembers what it was given."""

    def __init__(self) -> None:
        self.given: list[str] = []

    def tag(self, tags):
        self.given += tags

    def add_file(self, path, folder=""):
        assert path.exists()
        self.given.append(f"{folder}/{path.name}")

    add_table = add_file


def test_findings_are_renewed_while_the_sweep_runs_and_at_its_end(tmp_path):
    run, study = Kept(), searched(10)
    with Watch(tmp_path, 0.2, lambda: snapshot(study), run) as watch:
        deadline = time.monotonic() + 60
        while f"{FOLDER}/{PAGE}" not in run.given and time.monotonic() < deadline:
            time.sleep(0.1)
        assert f"{FOLDER}/{PAGE}" in run.given
        watch.begin_last()
        run.given.clear()
        assert watch.end_last() is None
    assert run.given[-1] == f"{FOLDER}/{TABLE}"
    assert {f"{FOLDER}/{SUMMARY}", f"{FOLDER}/{PAGE}", "mlflow.note.content"} <= set(run.given)
    assert f"{FOLDER}/{PICTURES}/slice.png" in run.given


def report_in(folder: Path) -> str:
    return (folder / FOLDER / SUMMARY).read_text()


def test_what_draws_the_figures_may_die_without_harm_to_the_report(tmp_path):
    run = Kept()
    with Watch(tmp_path, 60.0, lambda: snapshot(searched(3)), run) as watch:
        watch.begin_last()
        watch._process.kill()
        assert watch.end_last() == "the process that draws the figures has died"
    assert "Trial" in report_in(tmp_path)
    assert run.given == ["mlflow.note.content", f"{FOLDER}/{SUMMARY}", f"{FOLDER}/{TABLE}"]


def test_what_draws_the_figures_is_started_again_where_it_died(tmp_path):
    run = Kept()
    with Watch(tmp_path, 60.0, lambda: snapshot(searched(10)), run) as watch:
        watch._process.kill()
        watch._process.wait()
        watch.begin_last()
        assert watch.end_last() is None
    assert f"{FOLDER}/{PICTURES}/slice.png" in run.given


@pytest.mark.parametrize("way", ["interrupt", "error"])
def test_a_sweep_that_comes_to_no_end_has_a_report_that_says_so(tmp_path, way):
    class Study:
        study = searched(3)
        ended_by = None

        def take(self) -> Snapshot:
            return snapshot(self.study, ended_by=self.ended_by)

    found = Study()
    with contextlib.suppress(KeyboardInterrupt), Watch(tmp_path, 0.2, found.take, NoRun()):
        wait_until(lambda: "still running" in report_in(tmp_path))
        found.ended_by = way
        raise KeyboardInterrupt
    assert f"ended by {way}" in report_in(tmp_path)


def wait_until(is_so: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(FileNotFoundError):
            if is_so():
                return
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_figure_that_fails_leaves_the_last_report_its_last_word(tmp_path, monkeypatch):
    found = [snapshot(searched(10)), snapshot(searched(10), ended_by="n_trials: all")]
    with Watch(tmp_path, 60.0, lambda: found.pop(0), NoRun()) as watch:
        watch.begin_last()
        monkeypatch.setattr(watch, "_answer", lambda: "figures that could not be drawn: edf")
        assert watch.end_last() == "figures that could not be drawn: edf"
    assert "ended by n_trials: all" in report_in(tmp_path)


class Counted(Kept):
    """A run of which the store has all, or not."""

    is_sent = True

    @property
    def n_renewals(self) -> int:
        return self.given.count("mlflow.note.content")


def test_what_has_not_changed_is_not_sent_again(tmp_path, monkeypatch):
    monkeypatch.setattr("seqsweep.search.report.findings.watch.SHARE", 1e9)  # it need not rest
    run, study = Counted(), searched(3)
    with Watch(tmp_path, 0.1, lambda: snapshot(study), run):
        wait_until(lambda: run.n_renewals == 1)
        time.sleep(2)
        assert run.n_renewals == 1
        study.add_trial(study.trials[1])
        wait_until(lambda: run.n_renewals == 2)


def test_while_the_store_is_away_renewals_do_not_pile_up(tmp_path):
    run = Counted()
    run.is_sent = False
    studies = itertools.count(1)
    with Watch(tmp_path, 0.05, lambda: snapshot(searched(next(studies))), run) as watch:
        time.sleep(2)
        assert run.given == []
        watch.begin_last()
        assert watch.end_last() is None
    assert run.n_renewals == 2  # the figures, and the last report


def test_an_objectives_name_may_hold_anything_that_no_files_name_does(tmp_path):
    names = ("val/loss", "val loss", "<b>&é")
    study = optuna.create_study(directions=["minimize"] * 3)
    study.optimize(lambda trial: (x := trial.suggest_float("x", 0, 1), 1 - x, x * x), 5)
    about_it = about(names=names, directions=("minimize",) * 3)
    best = [t.number for t in study.best_trials]
    written = write(Snapshot(about_it, study.trials, best=best), tmp_path)
    assert written.problems == ()
    assert {"val_loss_0_slice.png", "val_loss_1_slice.png"} <= set(written.pictures)
    assert {path.name for path in (tmp_path / PICTURES).iterdir()} == set(written.pictures)
    text = (tmp_path / PAGE).read_text()
    ids = re.findall(r'<h2 id="([^"]*)"', text)
    assert len(ids) == len(set(ids))
    assert re.findall(r'<a href="#([^"]*)"', text) == ids
    assert "<b>" not in text.partition("<script>")[0]


def test_no_secret_among_the_values_reaches_the_findings(tmp_path):
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    secrets = ["hunter22", "correct-horse"]
    urls = ["postgresql://me:pa55w0rd@a/x", "postgresql://me:0ther-pw@b/x", "none"]

    def objective(trial):
        password = trial.suggest_categorical("db.password", secrets)
        url = trial.suggest_categorical("url", urls)
        trial.suggest_float("x", 0, 1)
        return secrets.index(password) + urls.index(url) / 10

    study.optimize(objective, 20)
    shown = without_secrets(study.trials)
    assert {t.params["db.password"] for t in shown} == {"*** (0)", "*** (1)"}
    assert {t.params["url"] for t in shown} == {
        "postgresql://me:***@a/x",
        "postgresql://me:***@b/x",
        "none",
    }
    assert [t.params["x"] for t in shown] == [t.params["x"] for t in study.trials]
    write(Snapshot(about(), shown, best=[study.best_trial.number]), tmp_path)
    for path in tmp_path.rglob("*.*"):
        held = [
            word for word in (*secrets, "pa55w0rd", "0ther-pw") if word in str(path.read_bytes())
        ]
        assert held == [], path


def test_trials_without_secrets_are_left_as_they_are():
    trials = searched(5).trials
    assert all(a is b for a, b in zip(without_secrets(trials), trials, strict=True))


def test_nothing_is_drawn_where_nothing_is_asked_for(tmp_path):
    with Watch(tmp_path, None, lambda: snapshot(searched(3)), NoRun()) as watch:
        watch.begin_last()
        assert watch.end_last() is None
    assert list(tmp_path.iterdir()) == []


def test_the_sweeps_program_draws_nothing_itself():
    code = "import sys, seqsweep.search.sweep; print({'plotly', 'matplotlib'} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "set()"


class Full(NoRun):
    """A run whose records have no room."""

    def tag(self, tags):
        raise TrackingError("no space left")


def test_findings_that_cannot_be_kept_cost_a_sentence_and_no_more(tmp_path):
    with Watch(tmp_path, 0.1, lambda: snapshot(searched(3)), Full()) as watch:
        time.sleep(1)
        watch.begin_last()
        assert watch.end_last() == "report and figures could not be kept: no space left"


def test_what_hangs_while_it_draws_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr("seqsweep.search.report.findings.watch.LONGEST_S", 0.01)
    with Watch(tmp_path, 60.0, lambda: snapshot(searched(3)), NoRun()) as watch:
        watch.begin_last()
        assert watch.end_last() == "the figures were not drawn within 0 s"


def test_a_description_is_short_enough_for_mlflow(tmp_path):
    given = {}

    class Told(NoRun):
        def tag(self, tags):
            given.update(tags)

    long = about(asks="why " * 5000)
    with Watch(tmp_path, 60.0, lambda: Snapshot(long, searched(3).trials), Told()) as watch:
        watch.begin_last()
        assert watch.end_last() is None
    assert 5000 < len(given["mlflow.note.content"]) < 8000
    assert "report/report.md" in given["mlflow.note.content"]


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution:UserWarning")
def test_choices_that_are_lists_are_shown(tmp_path):
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=1))
    study.optimize(lambda t: float(len(t.suggest_categorical("layers", [[8], [8, 8]]))), 8)
    shown = without_secrets(study.trials)
    assert [t.params["layers"] for t in shown] == [str(t.params["layers"]) for t in study.trials]
    written = write(Snapshot(about(), shown, best=[study.best_trial.number]), tmp_path)
    assert written.problems == ()
    assert "| `layers` | [8, 8] |" in (tmp_path / SUMMARY).read_text()


def test_a_study_that_cannot_be_shown_costs_a_sentence_and_no_more(tmp_path):
    def take():
        raise TypeError("no such trial")

    with Watch(tmp_path, 60.0, take, NoRun()) as watch:
        watch.begin_last()
        assert watch.end_last() == "the report could not be written: no such trial"

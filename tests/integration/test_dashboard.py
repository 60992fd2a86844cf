"""What a person sees in MLflow's pages after a sweep, in a real browser.

With SEQSWEEP_PICTURES=FOLDER the pictures of the documentation go there: `make pictures`.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

SWEEP = ["hydra.sweeper.n_trials=4", "training.epochs=2", "hydra/sweeper/pruner=none"]
PATIENCE_MS = 60_000
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = pytest.mark.browser
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    return Path(os.environ.get("SEQSWEEP_PICTURES") or tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def project(tmp_path_factory, copy_project, program) -> Path:
    project = copy_project(tmp_path_factory.mktemp("dashboard") / "seqsweep")
    short = [] if "SEQSWEEP_PICTURES" in os.environ else SWEEP
    ended = program(
        project / "src" / "run.py",
        *["-m", "sweep", *short],
        cwd=project,
        SEQSWEEP_REPORT_EVERY="60",
        timeout=500,
    )
    assert ended.returncode == 0, ended.stderr
    (project / "said.txt").write_text(ended.stdout)
    return project


@pytest.fixture(scope="module")
def address(project, served) -> Iterator[str]:
    """The page that the sweep named, served as it said, but for the port."""
    with served(sys.executable, "ui", folder=project, answers="health") as server:
        named = (project / "said.txt").read_text().split()[-1]
        yield named.replace("http://127.0.0.1:5000", server)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("needs Chromium, as Debian's package chromium; .ci/run installs it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def runs(browser, address) -> Iterator[Page]:
    """The page that the sweep named, as someone sees it who has never been there."""
    with browser.new_context(viewport={"width": 1400, "height": 900}) as visit:
        page = visit.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(address)
        expect(page.get_by_role("link", name="default-1", exact=True)).to_be_visible()
        if (assistant := page.get_by_role("button", name="Close", exact=True)).count():
            assistant.first.click()
        yield page


def keep(page: Page, pictures: Path, name: str) -> None:
    page.wait_for_timeout(1500)  # for what moves to have come to rest
    folders = page.get_by_text("Path: file:")  # of this machine
    page.screenshot(path=pictures / f"{name}.png", mask=[folders], mask_color="white")


def test_the_sweep_is_one_run_with_its_trials_below_it(runs, pictures):
    row = runs.get_by_role("row").filter(has_text="default-1")
    row.get_by_role("button").first.click()
    trials = runs.get_by_role("link", name="of default-1")
    expect(trials.first).to_be_visible()
    assert trials.count() >= 4
    keep(runs, pictures, "runs")


def test_the_curves_of_the_trials_stand_in_one_chart(runs, pictures):
    runs.get_by_role("row").filter(has_text="default-1").get_by_role("button").first.click()
    expect(runs.get_by_role("link", name="of default-1").first).to_be_visible()
    runs.locator("label:has(input[value=CHART])").click()
    runs.get_by_placeholder("Search metric charts").fill("val_")
    curves = runs.locator(".js-plotly-plot:has(.scatterlayer .trace:nth-child(2))")
    expect(curves.first).to_be_visible()
    keep(runs, pictures, "curves")


def test_a_figure_opens_in_the_view_of_the_sweeps_files(runs, pictures):
    runs.get_by_role("link", name="default-1", exact=True).click()
    keep(runs, pictures, "sweep")
    runs.get_by_role("tab", name="Artifacts").click()
    runs.get_by_text("report", exact=True).click()
    runs.get_by_text("figures.html").first.click()
    figure = runs.frame_locator("iframe").locator(".js-plotly-plot")
    expect(figure.first).to_be_visible()
    expect(figure.nth(5)).to_be_attached()
    keep(runs, pictures, "figures")


def test_the_champion_stands_in_the_registry_with_its_card(runs, address, pictures):
    runs.get_by_role("link", name="Model registry").click()
    expect(runs.get_by_role("link", name="seqsweep-mnist_5k").first).to_be_visible()
    runs.wait_for_timeout(1000)
    runs.keyboard.press("Escape")  # MLflow tells of its new pages in a dialog
    runs.get_by_role("link", name="seqsweep-mnist_5k").first.click()
    expect(runs.get_by_text("champion").first).to_be_visible()
    runs.get_by_role("link", name="Version 1").first.click()
    expect(runs.get_by_text("Test accuracy").first).to_be_visible()
    expect(runs.get_by_text("champion").first).to_be_visible()
    keep(runs, pictures, "champion")

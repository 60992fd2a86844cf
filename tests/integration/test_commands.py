"""Every command of the README and of docs/ works: all are run, in order, or named below.

The pages your-model and your-data are followed by test_pages.py, their files and all.
"""

import os
import re
import shlex
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

FOLLOWED = {"your-model", "your-data"}
# What is not run here, and why; a command that stands nowhere any more fails the test.
ELSEWHERE = {
    "make sweep": "it makes an environment and runs the sweep below, as .ci/run does the tests",
    ".venv/bin/mlflow ui": "test_dashboard.py serves it",
    "python3 -m venv .venv": "the set-up that make does",
    ".venv/bin/pip install --require-hashes -r requirements.lock": "the set-up that make does",
    ".venv/bin/pip install --no-deps --no-build-isolation --editable .": "the set-up as well",
    "source .venv/bin/activate": "the tests' environment is one",
    "export MLFLOW_TRACKING_URI=sqlite:///mlflow.db": "a variable of the next command",
    "mlflow models serve -m models:/seqsweep-mnist_5k@champion --env-manager local --port 5001": (
        "test_champion.py serves it"
    ),
    "python src/run.py +rerun=default-1/19": "of a sweep of 20 trials: test_rerun.py does others",
    "seqsweep compare default-1/18 default-1/0": "of such a sweep too: test_compare.py",
    "python src/run.py -m sweep tracking.uri=http://127.0.0.1:5000": "test_tracking_outage.py",
    "MLFLOW_TRACKING_URI": "a variable",
    "python src/run.py -m sweep hydra.sweeper.storage=postgresql://sweep@db/studies"
    " tracking.uri=http://db:5000": "test_postgres.py starts such servers",
    "seqsweep proxy --storage=postgresql://sweep@db/studies": "tests/cli/test_proxy.py",
    "seqsweep proxy --storage=postgresql://sweep@db/studies --host=10.0.0.5": "likewise",
    "python src/run.py -m sweep hydra.sweeper.storage=grpc://127.0.0.1:13000": (
        "tests/cluster/test_proxy.py has one"
    ),
    "python src/run.py -m sweep hydra.sweeper.storage=grpc://10.0.0.5:13000"
    " tracking.uri=http://db:5000": "likewise",
    "pip install grpcio protobuf": "the tests' environment has them",
    "python src/run.py -m sweep hydra/launcher=submitit_slurm hydra.sweeper.n_workers=8"
    " hydra.sweeper.storage=journal:////shared/studies.journal tracking=none": (
        "it needs SLURM: tests/cluster/test_journal.py does so by joblib"
    ),
    "python src/run.py -m sweep hydra.sweeper.storage=journal:////shared/studies.journal"
    " tracking=none": "it would write outside of the project: tests/cli/test_journal.py",
    "export PGPASSWORD=the-password": "a variable of such a command",
    "pip install 'psycopg[binary]'": "a driver of others",
    "pip install optuna-dashboard": "a program of others",
    "optuna-dashboard sqlite:///mlruns/optuna.db": "a program of others",
    "pip install /path/to/seqsweep": "test_wheel.py installs it",
    "python src/run.py -m sweep 'devices.slots=[gpu:0,gpu:1,cpu]'": (
        "it needs two GPUs: test_gpu_slots.py has made-up ones"
    ),
    "python -m pytest -m gpu": "it needs a GPU",
    "python -m seqsweep.tracking.send FOLDER/unsent.jsonl": "test_tracking_outage.py",
    "python -m seqsweep.search.difference mlruns/optuna.db forget_bias-1 0 2": (
        "of a sweep whose four values have all run"
    ),
    "hydra/launcher=submitit_slurm": "of the command before it: tests/cluster/test_slurm.py",
    "hydra/launcher=ray": "likewise: tests/cluster/test_ray.py",
    "pip install hydra-joblib-launcher hydra-submitit-launcher hydra-ray-launcher": (
        "the tests' environment has them"
    ),
    "python src/run.py -m sweep hydra/launcher=submitit_slurm hydra.sweeper.n_workers=8"
    " hydra.launcher.partition=gpu hydra.launcher.gpus_per_node=1 hydra.launcher.cpus_per_task=4"
    " hydra.launcher.timeout_min=240"
    " hydra.sweeper.storage=postgresql+psycopg://user@db/studies": "needs a cluster with GPUs",
    "python src/run.py -m sweep hydra/launcher=ray hydra.sweeper.n_workers=8"
    " hydra.launcher.ray.init.address=auto +hydra.launcher.ray.remote.num_gpus=1": "as well",
    "seqsweep worker --storage=postgresql+psycopg://user@db/studies --study=default-2": (
        "tests/cluster/test_joblib.py"
    ),
    "python app.py -m hydra/sweeper=seqsweep hydra/sweeper/pruner=median"
    " 'lr=tag(log, interval(1e-4, 1e-1))'": "test_examples.py runs whole apps",
}
N_TRAIN = 5500
# Instead of a large figure of the command itself, or of the configuration.
SHORT = ["training.epochs=0.25"]
SHORT_SWEEP = ["hydra.sweeper.n_trials=2"]
APP = """\
import hydra

@hydra.main(config_path=".", config_name="config", version_base="1.3")
def main(cfg):
    return (cfg.lr - 0.01) ** 2

if __name__ == "__main__":
    main()
"""


def commands_of(page: Path) -> list[str]:
    """Gives a page's commands in order: lines of console blocks, and code of the recipes."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in re.finditer(
        r"^```console\n(.*?)^```$|^\| [^\n]*? \| ([^\n]*) \|$", text, re.M | re.S
    ):
        block, cell = match.groups()
        if block is not None:
            lines = block.splitlines()
            is_session = any(line.startswith("$ ") for line in lines)  # with what it printed
            lines = [line for line in lines if line.startswith("$ ") or not is_session]
            found += [line.removeprefix("$ ").split("  #")[0].strip() for line in lines]
        elif "## Recipes" in text[: match.start()] and "## Your own" not in text[: match.start()]:
            found += re.findall(r"`([^`]+)`", cell)
    return [command for command in found if command]


def pages(root: Path) -> list[Path]:
    docs = [path for path in sorted((root / "docs").glob("*.md")) if path.stem not in FOLLOWED]
    return [root / "README.md", *docs]


@pytest.fixture(scope="module")
def project(tmp_path_factory, copy_project, root) -> Path:
    """The project with what its commands' placeholders stand for."""
    project = copy_project(tmp_path_factory.mktemp("commands") / "project")
    _write_idx(project / "FOLDER")
    images, labels = _images()
    train = {"x_train": images[:N_TRAIN], "y_train": labels[:N_TRAIN]}
    test = {"x_test": images[N_TRAIN:], "y_test": labels[N_TRAIN:]}
    np.savez(project / "FILE.npz", **train, **test)
    for page in FOLLOWED:
        text = (root / "docs" / f"{page}.md").read_text(encoding="utf-8")
        for name, content in re.findall(
            r"^```python\n# (my_\w+\.py)\n(.*?)^```$", text, re.M | re.S
        ):
            (project / name).write_text(content)
    app = project / "app"
    app.mkdir()
    (app / "app.py").write_text(APP)
    config = (root / "docs" / "sweeper.md").read_text(encoding="utf-8").split("```yaml\n")[1]
    (app / "config.yaml").write_text(config.split("```")[0])
    return project


def _images() -> tuple[np.ndarray, np.ndarray]:
    """Gives images of noise and their labels, more than are kept to validate by default."""
    images = np.random.default_rng(0).integers(0, 256, (N_TRAIN + 100, 8, 8), np.uint8)
    return images, (np.arange(len(images)) % 4).astype(np.uint8)


def _write_idx(folder: Path) -> None:
    folder.mkdir()
    images, labels = _images()
    for name, part in (("train", slice(0, N_TRAIN)), ("t10k", slice(N_TRAIN, None))):
        for kind, array in (("images", images[part]), ("labels", labels[part])):
            head = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(
                f">{array.ndim}I", *array.shape
            )
            place = folder / f"{name}-{kind}-idx{array.ndim}-ubyte"
            place.write_bytes(head + array.tobytes())


def shortened(words: list[str]) -> list[str]:
    """Gives a command of the project's program as one that trains little, otherwise as it is."""
    if {"--cfg", "--help", "dry_run=true"} & set(words):
        return words
    if words[1] == "app.py":
        return [*words, *SHORT_SWEEP]
    return [*words, *SHORT, *(SHORT_SWEEP if "-m" in words else [])]


def run(command: str, project: Path) -> subprocess.CompletedProcess:
    words = shlex.split(command)
    python = Path(sys.executable)
    is_program = words[0] in ("python", ".venv/bin/python")
    words = shortened(words) if is_program else words
    words[0] = str(python if is_program else python.with_name(words[0]))
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "PYTEST_"))}
    return subprocess.run(
        words,
        cwd=project / "app" if words[1] == "app.py" else project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def test_every_command_runs_in_order_in_an_empty_folder(root, project):
    failed = []
    for page in pages(root):
        for command in commands_of(page):
            if command in ELSEWHERE:
                continue
            ended = run(command, project)
            # doctor finds what is wrong; in the docs that is the point of it
            if ended.returncode != 0 and not command.startswith("seqsweep doctor"):
                failed.append(f"{page.name}: {command}: {ended.stderr[-500:]}")
            assert "Traceback" not in ended.stderr, command
    assert not failed, "\n".join(failed)


def test_what_is_not_run_here_still_stands_in_the_docs(root):
    found = {command for page in pages(root) for command in commands_of(page)}
    assert set(ELSEWHERE) <= found


def test_the_commands_of_the_readme_are_found(root):
    found = commands_of(root / "README.md")
    for command in ("make sweep", "python src/run.py", "seqsweep doctor"):
        assert command in found
    assert len(found) > 40


def test_the_site_is_built_without_a_warning_and_without_a_network(root, tmp_path):
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "sphinx",
            "-W",
            "--keep-going",
            "-q",
            "-b",
            "html",
            "docs",
            tmp_path,
        ],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    built = {path.stem for path in tmp_path.glob("*.html")}
    assert {page.stem for page in (root / "docs").glob("*.md")} <= built
    for page in tmp_path.glob("*.html"):
        loaded = re.findall(
            r'<(?:script|link|img)[^>]+(?:src|href)="(http[^"]+)"', page.read_text()
        )
        assert [address for address in loaded if "canonical" not in address] == []

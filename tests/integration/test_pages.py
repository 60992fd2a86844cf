"""The pages that a newcomer follows: their files are written and their commands run, in order."""

import re
import shlex
from pathlib import Path

import pytest
from mlflow import MlflowClient

PAGES = ["your-model", "your-data"]
BLOCK = re.compile(r"^```(python|yaml|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def follow(page: Path, project: Path, program) -> list[str]:
    """Does what the page says in the folder of the project; gives what the commands printed."""
    said = []
    for language, text in BLOCK.findall(page.read_text()):
        if language == "console":
            for line in text.splitlines():
                python, script, *arguments = shlex.split(line)
                assert python == "python"
                ended = program(Path(script), *arguments, cwd=project)
                assert (ended.returncode, ended.stderr) == (0, ""), line + ended.stdout
                said.append(ended.stdout)
        else:
            name, _, rest = text.partition("\n")
            assert re.fullmatch(r"# [\w/.]+", name), f"no file's name: {name}"
            (project / name.removeprefix("# ")).write_text(rest)
    return said


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_a_page_works_from_top_to_bottom(root, project, program, name):
    said = follow(root / "docs" / f"{name}.md", project, program)
    assert len(said) >= 4
    client = MlflowClient(f"sqlite:///{project}/mlflow.db")
    (experiment,) = client.search_experiments(filter_string="name = 'seqsweep'")
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.status for run in runs} <= {"FINISHED", "KILLED"}
    accuracies = [run.data.metrics.get("test_accuracy", 0) for run in runs]
    assert max(accuracies) > 0.7  # a tenth or a third by chance

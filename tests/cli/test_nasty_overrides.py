"""Overrides that nobody would type in earnest: one sentence, exit code 1, nothing written."""

import pytest

NASTY = {
    "no key": ["+=0x10"],
    "a group of null": ["data=null"],
    "an unclosed quote": ["model.n_hidden='8"],
    "a deep list": [f"model.n_hidden={'[' * 60}{']' * 60}"],
    "an interpolation of itself": ["seed=${seed}"],
    "a number without an end": ["seed=1e999"],
    "a section that is a number": ["+model=3"],
    "the sweeper as text": ["-m", "hydra.sweeper=x", "seed=1,2"],
    "a range of far too many": ["-m", "hydra/sweeper/sampler=grid", "seed=range(0,1e18)"],
    "a choice in a choice": ["-m", "hydra.sweeper.params={seed:[1,[2]]}"],
    "a device as data": ["data=npz", "data.path=/dev/zero"],
    "lines and an escape": ["model.name='a\n\x1b[2Jb'"],
}


@pytest.mark.parametrize("arguments", NASTY.values(), ids=NASTY)
def test_a_nasty_override_is_one_sentence_and_writes_nothing(project, program, tmp_path, arguments):
    ended = program(project / "src" / "run.py", *arguments, cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stdout == ""
    (sentence,) = ended.stderr.splitlines()
    assert sentence.startswith("error: ")
    assert "\x1b" not in sentence
    assert {path.name for path in tmp_path.iterdir()} == {"project"}
    assert not (project / "mlflow.db").exists()
    left = {path.name for path in (project / "mlruns").rglob("*") if path.is_file()}
    assert left <= {".gitignore", "config.yaml", "hydra.yaml", "overrides.yaml", "run.log"}

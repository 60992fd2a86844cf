"""Each mistake in a sweep file is one sentence that names file and key, before anything begins."""

import pytest

SPACE = "model.n_hidden: choice(8, 16)"
FILE = """# @package _global_
defaults:
  - override /hydra/sweeper/sampler: {sampler}
objective: {objective}
hydra:
  sweeper:
    n_trials: 1
    {field}
    params:
      {space}
"""
MISTAKES = {
    "an unknown field": ({"field": "n_trails: 3"}, ["n_trails"]),
    "a field of the wrong type": ({"field": "max_retries: many"}, ["max_retries", "many"]),
    "a field out of its range": ({"field": "timeout: -1"}, ["hydra.sweeper.timeout=-1"]),
    "ends that are swapped": (
        {"space": "model.n_hidden: int(interval(9, 3))"},
        ["hydra.sweeper.params.model.n_hidden", "swapped"],
    ),
    "an empty choice": (
        {"space": "model.n_hidden: choice()"},
        ["hydra.sweeper.params.model.n_hidden", "the choice is empty"],
    ),
    "an empty list": (
        {"space": "model.n_hidden: []"},
        ["hydra.sweeper.params.model.n_hidden", "the choice is empty"],
    ),
    "a parameter that the config lacks": (
        {"space": "model.nhidden: choice(8, 16)"},
        ["hydra.sweeper.params.model.nhidden"],
    ),
    "a value that cannot train": (
        {"space": "model.n_hidden: choice(0, 8)"},
        ["model.n_hidden=0", "hydra.sweeper.params.model.n_hidden"],
    ),
    "an interval for the grid": (
        {"sampler": "grid", "space": "optimizer.learning_rate: interval(0.1, 0.2)"},
        ["optimizer.learning_rate", "grid"],
    ),
    "an interval for brute force": (
        {"sampler": "brute_force", "space": "optimizer.learning_rate: interval(0.1, 0.2)"},
        ["optimizer.learning_rate", "hydra.sweeper.sampler"],
    ),
    "two directions with one objective": (
        {"field": "direction: [maximize, minimize]"},
        ["hydra.sweeper.direction", "val_accuracy"],
    ),
    "one direction with two objectives": (
        {"objective": "[val_accuracy, n_parameters]", "field": "direction: maximize"},
        ["hydra.sweeper.direction=maximize", "n_parameters"],
    ),
    "a pruner of two objectives": (
        {
            "objective": "[val_accuracy, n_parameters]",
            "field": "direction: [maximize, minimize]\n"
            "    pruner: {_target_: optuna.pruners.MedianPruner}",
        },
        ["hydra.sweeper.pruner", "hydra.sweeper.direction"],
    ),
    "a sampler of one objective for two": (
        {
            "sampler": "cmaes",
            "objective": "[val_accuracy, n_parameters]",
            "field": "direction: [maximize, minimize]",
        },
        ["hydra.sweeper.sampler", "CmaEsSampler"],
    ),
    "a known point outside of the space": (
        {"field": "enqueue: [{model.n_hidden: 12}]"},
        ["hydra.sweeper.enqueue", "12"],
    ),
    "a known point of what is not searched": (
        {"field": "enqueue: [{model.dropout: 0.5}]"},
        ["hydra.sweeper.enqueue", "model.dropout", "model.n_hidden"],
    ),
    "current values outside of the space": (
        {"field": "enqueue: [current]"},
        ["hydra.sweeper.enqueue", "current", "128"],
    ),
    "a constraint that is none": (
        {"field": 'constraints: ["n_parameters < 5"]'},
        ["hydra.sweeper.constraints", "n_parameters < 5"],
    ),
    "a condition on what is not searched": (
        {"space": "model.n_hidden: {when: {model: lstm}, values: 'choice(8, 16)'}"},
        ["hydra.sweeper.params.model.n_hidden", "neither searched nor set"],
    ),
    "a space that is no function": (
        {"field": "custom_search_space: seqsweep.nowhere"},
        ["hydra.sweeper.custom_search_space", "seqsweep.nowhere"],
    ),
    "repeats without a seed": (
        {"field": "repeats: 3\n    seed_key: model.seed"},
        ["hydra.sweeper.repeats=3", "model.seed"],
    ),
}


@pytest.mark.parametrize(("parts", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_a_sweep_file_is_one_sentence_with_file_and_key(
    project, program, tmp_path, parts, said
):
    parts = {"sampler": "random", "objective": "val_accuracy", "field": "", "space": SPACE} | parts
    (project / "sweeps" / "wrong.yaml").write_text(FILE.format(**parts))
    ended = program(project / "src" / "run.py", "-m", "sweep=wrong", cwd=tmp_path)
    assert ended.returncode == 1, ended.stdout
    assert ended.stdout == ""
    (sentence,) = ended.stderr.splitlines()
    assert "sweeps/wrong.yaml" in sentence or "sweep/wrong" in sentence
    for words in said:
        assert words in sentence
    assert not (project / "mlflow.db").exists()
    assert {path.name for path in (project / "mlruns").iterdir()} == {".gitignore"}

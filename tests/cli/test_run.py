"""The program as a user types it, where it trains nothing."""

import pytest

HEAVY = ("tensorflow", "keras", "mlflow", "optuna")


def top_level_imports(profile: str) -> set[str]:
    """Gives the packages that Python says it imported."""
    lines = [line for line in profile.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().split(".")[0] for line in lines}


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--cfg", "job"], ["--info", "defaults"], ["--cfg", "job", "sweep=tiny"]],
    ids=" ".join,
)
def test_looking_at_the_configuration_loads_nothing_heavy(root, program, tmp_path, arguments):
    ended = program(root / "src" / "run.py", *arguments, cwd=tmp_path, PYTHONPROFILEIMPORTTIME="1")
    assert ended.returncode == 0
    imported = top_level_imports(ended.stderr)
    assert "hydra" in imported
    assert not imported & set(HEAVY)


def test_the_help_lists_the_groups_and_the_sweeps(root, program, tmp_path):
    said = program(root / "src" / "run.py", "--help", cwd=tmp_path).stdout
    assert "sweep: cells, default, forget_bias, size, tiny" in said
    for group in (
        "data: fashion_mnist, function, idx, mnist, mnist_5k, npz",
        "experiment: tutorial",
        "model: conv1d, function, gru, lstm",
    ):
        assert group in said


@pytest.mark.parametrize("word", ["sweep", "sweep=default"])
def test_the_bare_word_sweep_is_the_default_sweep(root, program, tmp_path, word):
    ended = program(root / "src" / "run.py", "--cfg", "hydra", word, cwd=tmp_path)
    assert "sweep: default" in ended.stdout
    assert "model.n_hidden: tag(log, int(interval(32, 256)))" in ended.stdout


def test_a_broken_sweep_file_is_told_only_to_who_chooses_it(project, program, tmp_path):
    (project / "sweeps" / "broken.yaml").write_text("a: [1\nb: 2")
    script = project / "src" / "run.py"
    assert program(script, "--cfg", "job", cwd=tmp_path).returncode == 0
    ended = program(script, "-m", "sweep=broken", cwd=tmp_path)
    assert ended.returncode == 1
    assert "broken.yaml" in ended.stderr
    assert "line 2" in ended.stderr
    assert "Traceback" not in ended.stderr


WRONG = {
    "a sweep that does not exist": (["-m", "sweep=nosuch"], ["nosuch", "default", "tiny"]),
    "a size of zero": (["model.n_hidden=0"], ["model.n_hidden=0", "greater than 0"]),
    "a negative rate": (["optimizer.learning_rate=-1"], ["optimizer.learning_rate=-1", "than 0"]),
    "a rate of text": (["optimizer.learning_rate=fast"], ["optimizer.learning_rate='fast'"]),
    "half a unit": (["model.n_hidden=8.5"], ["model.n_hidden=8.5", "integer"]),
    "a misspelt key": (["model.nhidden=3"], ["model.nhidden"]),
    "an added key": (["+model.nhidden=3"], ["model.nhidden=3"]),
    "a key of another model": (["model=gru", "model.forget_bias=1"], ["model.forget_bias"]),
    "an added key of another model": (
        ["model=gru", "+model.forget_bias=1"],
        ["error: model.forget_bias=1: model=gru has no such key"],
    ),
    "a key that not all models have": (
        ["-m", "model=lstm,gru", "model.forget_bias=0,1"],
        ["model=gru", "model.forget_bias"],
    ),
    "a model that is not named": (["model=function"], ["model._target_ is not set"]),
    "data that is not named": (["data=function"], ["data.function is not set"]),
    "data of no module": (
        ["data=function", "data.function=nosuch:load"],
        ["error: data.function='nosuch:load' names no function: No module named 'nosuch'"],
    ),
    "a folder that does not exist": (["data=idx", "data.dir=/nonexistent"], ["/nonexistent"]),
    "a folder that is not given": (["data=idx"], ["data.dir", "IDX"]),
    "a batch larger than the data": (["training.batch_size=4001"], ["4001", "4000"]),
    "no end": (["training.epochs=null"], ["epochs", "training_iters"]),
    "no images left": (["data.n_validation=4500"], ["4500"]),
    "a seed below zero": (["seed=-1"], ["seed=-1"]),
    "an objective of its own": (["objective=f1"], ["objective='f1'", "val_accuracy"]),
    "ends swapped": (["-m", "model.n_hidden=interval(8,4)"], ["model.n_hidden", "swapped"]),
    "an empty range": (["-m", "model.n_hidden=range(8,4)"], ["model.n_hidden", "empty"]),
    "a corner that cannot train": (["-m", "model.n_hidden=0,8"], ["model.n_hidden=0"]),
    "a large corner": (["-m", "training.batch_size=range(8,9000)"], ["8999", "4000"]),
    "an unknown parameter": (["-m", "model.nhidden=1,2"], ["model.nhidden"]),
    "a grid without an end": (
        ["-m", "hydra/sweeper/sampler=grid", "optimizer.learning_rate=interval(0.1,0.2)"],
        ["grid", "optimizer.learning_rate"],
    ),
    "nothing to search": (["-m"], ["nothing to search", "sweep=NAME"]),
    "a metric that is not optimised": (
        ["-m", "sweep=tiny", "hydra.sweeper.metric=val_loss"],
        ["hydra.sweeper.metric=val_loss", "objective=val_accuracy"],
    ),
    "slots below zero": (["-m", "sweep=tiny", "hydra.sweeper.n_jobs=-1"], ["n_jobs=-1", "auto"]),
    "a run folder that cannot be made": (["hydra.run.dir=/proc/nowhere"], ["/proc/nowhere"]),
    "a store in memory": (
        ["-m", "sweep=tiny", "hydra.sweeper.storage='sqlite://'"],
        ["sqlite://", "no file"],
    ),
    "no trials": (["-m", "sweep=tiny", "hydra.sweeper.n_trials=0"], ["hydra.sweeper.n_trials=0"]),
    "a sampler that is none": (
        ["-m", "sweep=tiny", "hydra.sweeper.sampler._target_=builtins.dict"],
        ["hydra.sweeper.sampler", "builtins.dict"],
    ),
    "the wrong direction": (["-m", "sweep=tiny", "objective=val_loss"], ["val_loss", "minimize"]),
    "a folder that cannot be made": (
        ["-m", "sweep=tiny", "hydra.sweep.dir=/proc/nowhere"],
        ["/proc/nowhere"],
    ),
    "a store that cannot be made": (["tracking.dir=/proc/nowhere"], ["/proc/nowhere"]),
}


@pytest.mark.parametrize(("arguments", "said"), WRONG.values(), ids=WRONG)
def test_a_mistake_is_one_message_before_anything_is_trained(
    project, program, tmp_path, arguments, said
):
    ended = program(
        project / "src" / "run.py", *arguments, cwd=tmp_path, PYTHONPROFILEIMPORTTIME="1"
    )
    lines = [line for line in ended.stderr.splitlines() if not line.startswith("import time:")]
    assert ended.returncode == 1, ended.stdout
    assert "Traceback" not in ended.stderr
    for words in said:
        assert words in "\n".join(lines)
    assert ended.stdout == ""
    assert not {"tensorflow", "keras"} & set(top_level_imports(ended.stderr))

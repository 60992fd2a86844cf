"""A training that goes on from a checkpoint is, to the last bit, the one that was never ended."""

import dataclasses
import resource
import shutil
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqsweep.config import Config
from seqsweep.data import Dataset, Split
from seqsweep.process import channel
from seqsweep.process.channel import TrialInterrupted, TrialPruned
from seqsweep.process.messages import Point
from seqsweep.trial.checkpoint import FILE, Checkpoints, identity_of
from seqsweep.trial.kept import Trained
from seqsweep.trial.reporting import ChannelReporter
from seqsweep.trial.train import train

N_STRETCHES = 16  # 32 gradient steps: a point after each second, a validation after each fourth
SMALL = [
    "seed=3",
    "tracking=none",
    "devices=cpu",
    "optimizer.learning_rate=0.03",
    "training.batch_size=7",  # no divisor of the images: some of a pass wait for the next batch
    "training.epochs=null",
    "training.validate_every=0.56",  # passes, 28 of the 50 images
    "training.display_step=2",
]
LSTM, GRU = (["model=lstm", "model.n_hidden=5"], ["model=gru", "model.n_hidden=5"])
BOTH_WAYS = ["model.n_layers=2", "model.bidirectional=true"]


@pytest.fixture(scope="module")
def config(configured) -> Callable[..., Config]:
    """Gives the settings of a training of `N_STRETCHES`, unless it is told otherwise."""

    def config(*overrides: str, model=LSTM, iters: int = 33 * 7, every_s: int = 0) -> Config:
        lengths = [f"training.training_iters={iters}", f"training.checkpoint_every_s={every_s}"]
        return configured(*SMALL, *lengths, *model, *overrides)

    return config


def split(n: int, seed: int) -> Split:
    random = np.random.default_rng(seed)
    x, y = random.random((n, 4, 3), np.float32), random.integers(0, 3, n).astype(np.int32)
    x[np.arange(n), y] *= 2 / 3
    return Split(x, y)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return Dataset("noise", split(50, 0), split(40, 1), split(10, 2), 3)


class Heard:
    """A trial's channel that keeps what it is sent; may call back at each stop."""

    def __init__(self, answer: Callable[[int], bool] = lambda step: False) -> None:
        self.sent: list[tuple[tuple[Point, ...], int, dict[str, float], float]] = []
        self._answer = answer

    def ask(self, points, *, step, metrics, done):
        self.sent.append((points, step, metrics, done))
        return self._answer(step)

    @property
    def untimed(self) -> list:
        """All but the wall clock's times."""
        return [([(p.name, p.value, p.step) for p in points], *more) for points, *more in self.sent]

    @property
    def points(self) -> list[Point]:
        return [point for points, *_ in self.sent for point in points]


class InterruptedAfter(Checkpoints):
    """Interrupts the training at the end of stretch number `n`."""

    def __init__(self, n: int, *arguments) -> None:
        super().__init__(*arguments)
        self._left = n

    def look(self, training) -> None:
        self._left -= 1
        if self._left == 0:
            channel.interrupt_current()
        super().look(training)


@pytest.fixture(autouse=True)
def not_interrupted(monkeypatch):
    """Takes the flag back, as only a new process can elsewhere."""
    monkeypatch.setattr(channel, "_interrupted", False)
    return lambda: monkeypatch.setattr(channel, "_interrupted", False)


def whole(settings: Config, dataset: Dataset) -> tuple[Trained, Heard]:
    heard = Heard()
    return train(settings, dataset, ChannelReporter(heard)), heard


def interrupt(settings: Config, dataset: Dataset, folder: Path, after: int) -> Heard:
    heard = Heard()
    reporter = ChannelReporter(heard)
    with pytest.raises(TrialInterrupted):
        train(
            settings,
            dataset,
            reporter,
            InterruptedAfter(after, folder, settings, dataset, reporter),
        )
    return heard


def go_on(settings: Config, dataset: Dataset, folder: Path, heard: Heard | None = None):
    heard = heard or Heard()
    reporter = ChannelReporter(heard)
    checkpoints = Checkpoints(folder, settings, dataset, reporter)
    return train(settings, dataset, reporter, checkpoints), heard


def same(one: Trained, other: Trained) -> None:
    assert one.values == other.values
    assert one.at == other.at
    for mine, theirs in zip(one.model.variables, other.model.variables, strict=True):
        mine, theirs = (v.value.numpy() for v in (mine, theirs))
        assert mine.tobytes() == theirs.tobytes()


# A model of the user's own, with all that such a one may change and draw.
OWN = ["model=function", "model._target_=user_kept.make", "+model.width=5"]
MODULE = """
import keras


def make(config, input_shape, n_classes):
    return keras.Sequential([
        keras.Input(input_shape),
        keras.layers.GaussianNoise(0.1),
        keras.layers.LSTM(config.width, recurrent_dropout=0.2, kernel_regularizer="l2"),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.2),
        keras.layers.Dense(n_classes),
    ])
"""


@pytest.fixture(scope="module", autouse=True)
def own_module(tmp_path_factory):
    """Lets Python find the module of `OWN`; gives its file."""
    file = tmp_path_factory.mktemp("own") / "user_kept.py"
    file.write_text(MODULE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(file.parent)
        yield file


KINDS = {
    "lstm": {},
    "lstm, two layers both ways": {"model": [*LSTM, *BOTH_WAYS, "model.dropout=0.2"]},
    "gru, two layers both ways": {"model": [*GRU, *BOTH_WAYS, "model.dropout=0.2"]},
    "conv1d": {"model": ["model=conv1d", "model.n_filters=5", "model.kernel_size=2"]},
    "of the user's own": {"model": OWN},
    "gru with dropout, by loss": {
        "model": [*GRU, "model.dropout=0.4", "objective=val_loss"],
    },
    "the last weights": {"model": [*LSTM, "training.restore_best=false"]},
    "patience": {"model": [*LSTM, "training.patience=6"], "iters": 101 * 7},
}


class Copied(Checkpoints):
    """Keeps a copy of each checkpoint, by the step after which it was written."""

    def look(self, training) -> None:
        super().look(training)
        shutil.copy(self._folder / FILE, self._folder / f"{training.step}")


@pytest.fixture(scope="module", params=KINDS)
def ended(request, config, dataset, tmp_path_factory):
    """A training that was not interrupted: its settings, what it came to, its checkpoints."""
    folder, heard = tmp_path_factory.mktemp("kept"), Heard()
    settings = config(**KINDS[request.param])
    reporter = ChannelReporter(heard)
    trained = train(settings, dataset, reporter, Copied(folder, settings, dataset, reporter))
    return settings, trained, heard, folder


def test_it_goes_on_to_the_same_weights_values_and_curve(dataset, ended, tmp_path, capsys):
    goes_on_to_the_same(18, dataset, ended, tmp_path, capsys)


@pytest.mark.parametrize("ended", ["lstm, two layers both ways", "patience"], indirect=True)
@pytest.mark.parametrize("step", [2, 32])
def test_it_goes_on_from_its_first_checkpoint_and_from_its_last(
    dataset, ended, tmp_path, capsys, step
):
    goes_on_to_the_same(step, dataset, ended, tmp_path, capsys)


def goes_on_to_the_same(step: int, dataset: Dataset, ended, tmp_path: Path, capsys) -> None:
    settings, expected, heard, folder = ended
    shutil.copy(folder / f"{step}", tmp_path / FILE)
    trained, again = go_on(settings, dataset, tmp_path)
    same(trained, expected)
    assert again.untimed == heard.untimed
    first = [point for point in heard.points if point.step <= step * 7]
    assert again.points[: len(first)] == first, "with the times of the first try"
    n_steps = settings.training.training_iters // 7 - 1
    said = f"goes on after step {step} of {n_steps} from its checkpoint\n"
    assert capsys.readouterr().out == said


DRAWING = ["lstm, two layers both ways", "of the user's own", "patience"]


@pytest.mark.parametrize("ended", DRAWING, indirect=True)
def test_what_is_compared_with_is_a_training_without_checkpoints(dataset, ended):
    settings, expected, heard, _ = ended
    trained, alone = whole(settings, dataset)
    same(trained, expected)
    assert alone.untimed == heard.untimed
    patience = settings.training.patience
    assert patience is None or len(heard.sent) == trained.at + patience < 25


def test_it_may_be_interrupted_at_every_stretch(dataset, config, tmp_path, not_interrupted):
    settings = config(model=[*GRU, "model.dropout=0.3"], iters=9 * 7)
    expected, heard = whole(settings, dataset)
    for _ in range(4):
        interrupt(settings, dataset, tmp_path, 1)
        not_interrupted()
    trained, again = go_on(settings, dataset, tmp_path)
    same(trained, expected)
    assert again.untimed == heard.untimed


def test_no_checkpoint_is_written_before_one_is_due_but_at_an_interrupt(
    dataset, config, tmp_path, not_interrupted
):
    settings = config(every_s=3600)
    go_on(settings, dataset, tmp_path)
    assert list(tmp_path.iterdir()) == []
    interrupt(settings, dataset, tmp_path, 3)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_the_pruner_may_stop_one_that_goes_on(dataset, config, tmp_path, not_interrupted):
    interrupt(config(), dataset, tmp_path, 5)
    not_interrupted()
    heard = Heard(lambda step: step == 4)
    with pytest.raises(TrialPruned):
        go_on(config(), dataset, tmp_path, heard)
    assert [step for _, step, *_ in heard.sent] == [1, 2, 3, 4]


OTHERS = {
    "a value": lambda settings, data: (dataclasses.replace(settings, seed=4), data),
    "an image": lambda settings, data: (
        settings,
        dataclasses.replace(data, train=Split(data.train.x * np.float32(0.5), data.train.y)),
    ),
    "a label to validate": lambda settings, data: (
        settings,
        dataclasses.replace(data, validation=Split(data.validation.x, 1 - data.validation.y // 2)),
    ),
}


@pytest.mark.parametrize("other", OTHERS)
def test_of_another_training_it_begins_at_the_start(
    dataset, config, tmp_path, capsys, not_interrupted, other
):
    interrupt(config(), dataset, tmp_path, 5)
    not_interrupted()
    settings, data = OTHERS[other](config(), dataset)
    expected, heard = whole(settings, data)
    trained, again = go_on(settings, data, tmp_path)
    same(trained, expected)
    assert again.untimed == heard.untimed
    assert capsys.readouterr().out == (
        "begins at the start, its checkpoint cannot be used: "
        "it is of another configuration, data set or version\n"
    )


@pytest.mark.parametrize("library", [tf, keras, np])
def test_another_version_of_a_library_is_another_training(dataset, config, monkeypatch, library):
    before = identity_of(config(), dataset)
    assert identity_of(config(), dataset) == before
    monkeypatch.setattr(library, "__version__", "0.0.1")
    assert identity_of(config(), dataset) != before


def test_another_file_of_a_model_of_the_users_own_is_another_training(dataset, config, own_module):
    settings = config(model=OWN)
    before = identity_of(settings, dataset)
    assert identity_of(settings, dataset) == before
    assert identity_of(config("model.width=6", model=OWN), dataset) != before
    own_module.write_text(MODULE.replace("0.1", "0.2"))
    assert identity_of(settings, dataset) != before
    own_module.write_text(MODULE)


def test_where_it_runs_and_what_is_shown_is_the_same_training(dataset, config):
    elsewhere = config(
        "tracking.dir=/q",
        "devices.threads=2",
        "devices.trials_per_gpu=3",
        "training.display=lines",
        "training.test_len=3",
        every_s=60,
    )
    elsewhere = dataclasses.replace(elsewhere, root="/q")
    assert identity_of(elsewhere, dataset) == identity_of(config(), dataset)


def test_a_damaged_checkpoint_is_told_of_and_the_training_begins_at_the_start(
    dataset, config, tmp_path, capsys, not_interrupted
):
    interrupt(config(), dataset, tmp_path, 5)
    not_interrupted()
    content = bytearray((tmp_path / FILE).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / FILE).write_bytes(content)
    trained, _ = go_on(config(), dataset, tmp_path)
    same(trained, whole(config(), dataset)[0])
    assert "begins at the start, its checkpoint cannot be used: it is damaged" in (
        capsys.readouterr().out
    )


def test_a_full_disk_ends_no_training_and_leaves_no_half_a_file(dataset, config, tmp_path, capsys):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # bytes of a file
    try:
        trained, _ = go_on(config(), dataset, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    same(trained, whole(config(), dataset)[0])
    assert list(tmp_path.iterdir()) == []
    said = capsys.readouterr().out.splitlines()
    assert len(said) == N_STRETCHES
    assert set(said) == {"its checkpoint cannot be written: [Errno 27] File too large"}

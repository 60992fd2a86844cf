"""The training function, called without Hydra."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from seqsweep import data
from seqsweep.config import Config
from seqsweep.data import Dataset, Split
from seqsweep.process.channel import TrialPruned
from seqsweep.trial.reporting import Recorder
from seqsweep.trial.train import Evaluator, TrainingDiverged, train

N_CLASSES = 3


def split(n: int, seed: int) -> Split:
    """Images of noise in which the bright row says the class, but for one label in five."""
    random = np.random.default_rng(seed)
    y = random.integers(0, N_CLASSES, n).astype(np.int32)
    x = random.uniform(0, 0.3, (n, 6, 4)).astype(np.float32)
    x[np.arange(n), 2 * y] += 0.7
    wrong = random.random(n) < 0.2
    return Split(x, np.where(wrong, random.integers(0, N_CLASSES, n), y).astype(np.int32))


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return Dataset("bars", split(300, 0), split(100, 1), split(100, 2), N_CLASSES)


SMALL = [
    "tracking=none",
    "devices=cpu",
    "optimizer.learning_rate=0.01",
    "training.batch_size=20",
    "training.epochs=6",
    "training.display_step=5",
]
LSTM, GRU = (["model=lstm", "model.n_hidden=12"], ["model=gru", "model.n_hidden=12"])
CONV1D = ["model=conv1d", "model.n_filters=12", "model.kernel_size=3"]
BOTH_WAYS = ["model.n_layers=2", "model.bidirectional=true", "model.n_hidden=6"]
MODELS = {
    "lstm": LSTM,
    "lstm, two layers both ways": ["model=lstm", *BOTH_WAYS],
    "gru": GRU,
    "gru, reset before": [*GRU, "model.reset_after=false"],
    "gru, two layers both ways": ["model=gru", *BOTH_WAYS],
    "conv1d": CONV1D,
}


@pytest.fixture(scope="module")
def config(configured) -> Callable[..., Config]:
    """Gives the settings of a short training of a small LSTM, or of another model."""
    return lambda *overrides, model=LSTM: configured(*SMALL, *model, *overrides)


@pytest.fixture(scope="module")
def curve(config, dataset) -> Callable[..., list[tuple[int, str, float]]]:
    def curve(*overrides: str, **model) -> list[tuple[int, str, float]]:
        recorder = Recorder()
        train(config(*overrides, **model), dataset, recorder)
        return recorder.points

    return curve


every_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


@every_model
def test_it_learns(dataset, config, model):
    trained = train(config(model=model), dataset, Recorder())
    assert trained.value > 0.8  # a third of the classes by chance; 0.87 is the most


@pytest.mark.parametrize(
    "model",
    [
        ["model=gru", "model.n_hidden=48"],
        [*MODELS["lstm, two layers both ways"], "model.n_hidden=32"],
        [*CONV1D, "model.n_filters=24"],
    ],
    ids=["gru", "lstm, two layers both ways", "conv1d"],
)
def test_it_learns_to_read_digits(config, model):
    changes = ["training.batch_size=50", "training.epochs=4", "training.display_step=1000"]
    settings = config(*changes, model=model)
    trained = train(settings, data.load(settings.data), Recorder())
    assert trained.value > 0.88  # a tenth by chance


@every_model
def test_the_same_seed_gives_the_same_curve_to_the_last_bit(curve, model):
    """With dropout, which draws beside the weights and the order of the images."""
    dropped = [*model, "model.dropout=0.5"]
    assert curve(model=dropped) == curve(model=dropped)


def test_the_seed_governs_weights_and_order_and_dropout(curve):
    first = curve()
    assert curve() == first
    assert curve("seed=1") != first
    assert curve("model.dropout=0.5") != first


def test_the_curves_have_the_samples_as_their_axis_and_the_models_size_stands_before_them(curve):
    points = curve()
    steps = {name: [s for s, n, _ in points if n == name] for _, name, _ in points}
    assert steps["train_loss"] == steps["train_accuracy"] == list(range(100, 1801, 100))
    assert steps["val_loss"] == steps["val_accuracy"] == list(range(300, 1801, 300))
    assert steps["n_parameters"] == [0]
    assert len(steps) == 5


@pytest.mark.parametrize(("objective", "pick"), [("val_accuracy", max), ("val_loss", min)])
def test_the_model_ends_with_the_weights_of_its_best_validation(dataset, config, objective, pick):
    recorder = Recorder()
    changes = ["optimizer.learning_rate=0.6", "training.epochs=20"]
    trained = train(config(f"objective={objective}", *changes), dataset, recorder)
    values = [value for _, name, value in recorder.points if name == objective]
    assert trained.value == pick(values)
    assert trained.at == 1 + values.index(pick(values))
    scores = Evaluator(trained.model)(dataset.validation).named("val")
    assert scores[objective] == trained.value
    assert trained.value != values[-1], "the last was the best: this run shows nothing"


def test_without_restoring_the_model_ends_with_its_last_weights(dataset, config):
    recorder = Recorder()
    settings = config("training.restore_best=false", "optimizer.learning_rate=0.05")
    trained = train(settings, dataset, recorder)
    last = [value for _, name, value in recorder.points if name == "val_loss"][-1]
    assert Evaluator(trained.model)(dataset.validation).loss == last


def test_patience_ends_a_training_that_brings_nothing_better(dataset, config):
    recorder = Recorder()
    settings = config("training.patience=2", "training.epochs=50")
    trained = train(settings, dataset, recorder)
    n_validations = sum(name == "val_loss" for _, name, _ in recorder.points)
    assert n_validations == trained.at + 2 < 50


@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_a_loss_that_is_no_longer_finite_ends_the_training_with_that_reason(dataset, config):
    broken = dataclasses.replace(dataset, train=Split(dataset.train.x * 1, dataset.train.y))
    broken.train.x[:] = np.nan
    with pytest.raises(TrainingDiverged, match=r"no longer finite \(nan\) after 5 steps"):
        train(config(), broken, Recorder())


def test_a_reporter_that_says_stop_ends_the_training_there(dataset, config):
    class StopsAtTwo(Recorder):
        def validated(self, number, samples, metrics, *, done):
            super().validated(number, samples, metrics, done=done)
            return number == 2

    reporter = StopsAtTwo()
    with pytest.raises(TrialPruned):
        train(config(), dataset, reporter)
    assert max(samples for samples, _, _ in reporter.points) == 600


def test_a_training_step_is_the_gradient_step_of_an_independent_loop(dataset, config):
    """Plain Keras: its own LSTM layer, its own loss, its own fit, from the same weights."""
    import keras

    from seqsweep import models
    from seqsweep.trial.schedule import Batches

    settings = config("training.epochs=1", "training.display_step=1000")
    ours = train(settings, dataset, Recorder())
    start = models.build(settings.model, input_shape=(6, 4), n_classes=N_CLASSES, seed=0)
    theirs = keras.Sequential(
        [keras.Input((6, 4)), keras.layers.LSTM(12), keras.layers.Dense(N_CLASSES)]
    )
    theirs.set_weights(start.get_weights())
    theirs.compile(
        keras.optimizers.Adam(0.01, epsilon=1e-8),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    for indices in Batches(300, 20, seed=0).take(15):
        theirs.train_on_batch(dataset.train.x[indices], dataset.train.y[indices])
    for mine, other in zip(ours.model.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, atol=2e-4)


def test_losses_that_layers_add_are_trained_on_and_not_reported(
    dataset, config, tmp_path, monkeypatch
):
    (tmp_path / "user_regularized.py").write_text(
        "import keras\n"
        "def make(config, input_shape, n_classes):\n"
        "    return keras.Sequential([keras.Input(input_shape), keras.layers.Flatten(),\n"
        "        keras.layers.Dense(n_classes, kernel_regularizer=keras.regularizers.L2(config.by),"
        " kernel_initializer=keras.initializers.GlorotUniform(seed=1))])\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    kernels = {}
    for by in (0.0, 1.0):
        own = ["model=function", "model._target_=user_regularized.make", f"+model.by={by}"]
        recorder = Recorder()
        trained = train(config(model=own), dataset, recorder)
        kernels[by] = np.abs(trained.model.get_weights()[0]).mean()
        first = next(value for _, name, value in recorder.points if name == "train_loss")
        assert first < 2  # with the penalty, which starts at 5, it were more
    assert kernels[1.0] < kernels[0.0] / 3


@pytest.mark.parametrize("n", [1, 7, 100, 2500])
def test_the_scores_are_the_mean_over_all_images_however_many(config, n):
    from seqsweep import models

    images = split(n, 5)
    settings = config()
    model = models.build(settings.model, input_shape=(6, 4), n_classes=N_CLASSES, seed=0)
    scores = Evaluator(model)(images)
    logits = np.asarray(model(images.x), np.float64)
    log_sums = np.log(np.exp(logits).sum(axis=1))
    expected = float((log_sums - logits[np.arange(n), images.y]).mean())
    assert scores.loss == pytest.approx(expected, rel=1e-5)
    assert scores.accuracy == pytest.approx(float((logits.argmax(axis=1) == images.y).mean()))
    probabilities = tf.nn.softmax(logits)
    assert math.isclose(float(tf.reduce_sum(probabilities)), n, rel_tol=1e-6)

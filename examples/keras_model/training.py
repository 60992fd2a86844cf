"""What one trial does. A sweep imports this once; each trial's process is a fork of that."""

from importlib.metadata import version
from pathlib import Path

import keras
import mlflow.tensorflow
import tensorflow as tf
from mlflow.models import infer_signature
from omegaconf import DictConfig
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import seqsweep

# Named here, since MLflow spends 7 s on guessing them otherwise.
REQUIREMENTS = [f"{name}=={version(name)}" for name in ("mlflow", "tensorflow", "keras")]


class Report(keras.callbacks.Callback):
    """Reports each epoch's metrics to the sweep; the pruner may end the trial in that call."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Counts epochs from 1."""
        seqsweep.report(epoch + 1, **logs)


def train(cfg: DictConfig, folder: Path) -> float:
    """Trains a model, saves it in `folder` and gives its accuracy on a quarter of the digits."""
    share_the_device()
    keras.utils.set_random_seed(cfg.seed)
    images, digits = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8, 1).astype("float32")  # 0 to 16
    train_x, val_x, train_y, val_y = train_test_split(
        images, digits, test_size=0.25, random_state=0, stratify=digits
    )
    model = build(cfg)
    curves = model.fit(
        train_x,
        train_y,
        validation_data=(val_x, val_y),
        batch_size=cfg.batch_size,
        epochs=cfg.epochs,
        callbacks=[Report()],
        verbose=0,
    )
    signature = infer_signature(val_x[:5], model.predict(val_x[:5], verbose=0))
    mlflow.tensorflow.save_model(model, folder, signature=signature, pip_requirements=REQUIREMENTS)
    return curves.history["val_accuracy"][-1]


def build(cfg: DictConfig) -> keras.Model:
    """Builds a model: (batch, 8, 8, 1) in, from 0 to 16; (batch, 10) probabilities out."""
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Rescaling(1 / 16),
            keras.layers.Conv2D(cfg.filters, 3, activation="relu"),
            keras.layers.Conv2D(cfg.filters, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dropout(cfg.dropout),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(cfg.learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def share_the_device() -> None:
    """Takes what one slot is: one CPU core, or of a GPU's memory only what is needed."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)

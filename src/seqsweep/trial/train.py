"""Trains one model."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from seqsweep import models
from seqsweep.config import Config
from seqsweep.data import Dataset, Split
from seqsweep.errors import UserError
from seqsweep.process.channel import TrialPruned
from seqsweep.trial.adam import Adam
from seqsweep.trial.devices import device
from seqsweep.trial.kept import Kept, Scores, Trained
from seqsweep.trial.reporting import Reporter
from seqsweep.trial.schedule import Batches, Schedule

if TYPE_CHECKING:
    from seqsweep.trial.checkpoint import Checkpoints

EVALUATION_BATCH = 1000  # images at a time: large enough for speed, small enough for memory


class TrainingDiverged(UserError):  # noqa: N818 - the field's word
    """The loss is no longer a finite number."""


def train(
    config: Config,
    dataset: Dataset,
    reporter: Reporter,
    checkpoints: Checkpoints | None = None,
) -> Trained:
    """Trains `config.model` on `dataset`; the seed governs weights, data order and dropout.

    On the CPU the same configuration gives the same curve to the last bit, also where it goes on
    from a checkpoint.

    Raises:
        TrainingDiverged: the loss is no longer finite.
        TrialPruned: the reporter said stop.
        TrialInterrupted: the sweep was interrupted; the last checkpoint is written.
    """
    training = Training(config, dataset)
    model, kept, schedule = training.model, training.kept, training.schedule
    if checkpoints is None or not checkpoints.restore(training):
        reporter.described({"n_parameters": float(model.count_params())})
    evaluate = Evaluator(model)
    began, first = time.monotonic(), training.step
    for stretch in schedule.stretches(after=training.step):
        last_batch = training.run_to(stretch.end)
        samples = stretch.end * config.training.batch_size
        done = stretch.end / schedule.n_steps
        if stretch.display:
            scores = finite(evaluate(just_used(dataset.train, last_batch)), stretch.end)
            reporter.point(samples, scores.named("train"), done=done)
        if stretch.validation is not None:
            scores = finite(evaluate(dataset.validation), stretch.end)
            kept.see(stretch.validation, scores, model)
            stop = reporter.validated(stretch.validation, samples, scores.named("val"), done=done)
            if stop:
                raise TrialPruned(f"at validation {stretch.validation}")
            if kept.is_over():
                break
        if checkpoints is not None:
            checkpoints.look(training)
    values, at = kept.settle(model)
    n_samples = (training.step - first) * config.training.batch_size
    return Trained(model, values, at, evaluate, n_samples / (time.monotonic() - began))


class Training:
    """A training between two stretches: the model, and all that decides how it goes on."""

    def __init__(self, config: Config, dataset: Dataset) -> None:
        keras.utils.set_random_seed(config.seed)
        tf.config.experimental.enable_op_determinism()
        self.model = models.build(
            config.model,
            input_shape=dataset.input_shape,
            n_classes=dataset.n_classes,
            seed=config.seed,
            device=device(),
        )
        self.schedule = Schedule(config.training, len(dataset.train.y))
        self.kept = Kept(config)
        self.step = 0
        batch_size = config.training.batch_size
        self._batches = Batches(self.schedule.n_train, batch_size, config.seed)
        self._optimizer = Adam(config.optimizer, self.model.trainable_variables)
        self._run_steps = make_steps(self.model, self._optimizer, dataset.train, batch_size)

    def run_to(self, step: int) -> np.ndarray:
        """Takes the gradient steps up to and with `step`; gives the indices of the last batch."""
        order = self._batches.take(step - self.step)
        self._run_steps(tf.constant(order))
        self.step = step
        return order[-1]

    def state(self) -> dict[str, Any]:
        """Gives what `restore` needs."""
        return {
            "step": self.step,
            "model": [np.asarray(v.value) for v in models.variables_of(self.model)],
            "optimizer": [np.asarray(v) for v in self._optimizer.variables],
            "batches": self._batches.state(),
            "kept": self.kept.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Puts everything as it was when `state` was taken."""
        self.step = state["step"]
        for variables, values in (
            (models.variables_of(self.model), state["model"]),
            (self._optimizer.variables, state["optimizer"]),
        ):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        self._batches.restore(state["batches"])
        self.kept.restore(state["kept"])


def just_used(train: Split, indices: np.ndarray) -> Split:
    """Gives the images of one mini-batch."""
    return Split(train.x[indices], train.y[indices])


def make_steps(
    model: keras.Model, optimizer: Adam, train: Split, batch_size: int
) -> Callable[[tf.Tensor], None]:
    """Gives the function that trains on batches of indices, int32 (steps, batch_size).

    The images lie on the device; one call trains many steps in one graph.
    """
    images, labels = tf.constant(train.x), tf.constant(train.y)
    spec = [tf.TensorSpec((None, batch_size), tf.int32)]

    @tf.function(input_signature=spec, autograph=False)  # which would leave files in TMPDIR
    def run_steps(order: tf.Tensor) -> None:
        def run_step(number: tf.Tensor) -> tf.Tensor:
            indices = order[number]
            x, y = tf.gather(images, indices), tf.gather(labels, indices)
            with tf.GradientTape() as tape:
                logits = model(x, training=True)  # (batch, n_classes)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)
                loss = sum(model.losses, tf.reduce_mean(losses))  # with its regularizers'
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply(gradients)
            return number + 1

        tf.while_loop(lambda number: number < tf.shape(order)[0], run_step, [tf.constant(0)])

    return run_steps


class Evaluator:
    """Scores a model that gives logits on images; traced once, for any number of them."""

    def __init__(self, model: keras.Model) -> None:
        steps, features = model.input_shape[1:]
        spec = [tf.TensorSpec((None, steps, features)), tf.TensorSpec((None,), tf.int32)]

        @tf.function(input_signature=spec, autograph=False)
        def classify(x: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            logits = model(x, training=False)  # (n, n_classes)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)
            right = tf.argmax(logits, axis=1, output_type=tf.int32) == y
            return tf.reduce_sum(losses), tf.math.count_nonzero(right), logits

        self._classify = classify

    def __call__(self, split: Split) -> Scores:
        """Gives the scores over all images of `split`."""
        loss, right, n = 0.0, 0, len(split.y)
        for losses, hits, _ in self._parts(split):
            loss, right = loss + float(losses), right + int(hits)
        return Scores(loss / n, right / n)

    def logits(self, split: Split) -> np.ndarray:
        """Gives what the model says of all images of `split`, float32 (n, n_classes)."""
        return np.concatenate([logits.numpy() for *_, logits in self._parts(split)])

    def _parts(self, split: Split) -> Iterator[tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
        for start in range(0, len(split.y), EVALUATION_BATCH):
            part = slice(start, start + EVALUATION_BATCH)
            yield self._classify(split.x[part], split.y[part])


def finite(scores: Scores, step: int) -> Scores:
    """Gives the scores.

    Raises:
        TrainingDiverged: the loss is no longer finite.
    """
    if not math.isfinite(scores.loss):
        raise TrainingDiverged(
            f"the loss is no longer finite ({scores.loss}) after {step} steps; a smaller "
            "optimizer.learning_rate may help"
        )
    return scores

"""Trains one model."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from seqsweep import models
from seqsweep.config import AdamConfig, Config
from seqsweep.data import Dataset, Split
from seqsweep.errors import UserError
from seqsweep.process.channel import TrialPruned
from seqsweep.trial.reporting import Reporter
from seqsweep.trial.schedule import Batches, Schedule

EVALUATION_BATCH = 1000  # images at a time: large enough for speed, small enough for memory


class TrainingDiverged(UserError):  # noqa: N818 - the field's word
    """The loss is no longer a finite number."""


@dataclass(frozen=True)
class Scores:
    """Mean cross-entropy in nats and the fraction classified right."""

    loss: float
    accuracy: float

    def named(self, prefix: str) -> dict[str, float]:
        """Gives both by the names of their curves, as `val_loss`."""
        return {f"{prefix}_loss": self.loss, f"{prefix}_accuracy": self.accuracy}


@dataclass(frozen=True)
class Trained:
    """A trained model with the objectives' values for its weights, those of validation `at`."""

    model: keras.Model
    values: tuple[float, ...]
    at: int

    @property
    def value(self) -> float:
        """The value of the first objective, for which the weights were kept."""
        return self.values[0]


def train(config: Config, dataset: Dataset, reporter: Reporter) -> Trained:
    """Trains `config.model` on `dataset`; the seed governs weights, data order and dropout.

    On the CPU the same configuration gives the same curve to the last bit.

    Raises:
        TrainingDiverged: the loss is no longer finite.
        TrialPruned: the reporter said stop.
    """
    keras.utils.set_random_seed(config.seed)
    tf.config.experimental.enable_op_determinism()
    model = models.build(
        config.model,
        input_shape=dataset.input_shape,
        n_classes=dataset.n_classes,
        seed=config.seed,
    )
    reporter.described({"n_parameters": float(model.count_params())})
    run_steps = make_steps(model, config.optimizer, dataset.train, config.training.batch_size)
    evaluate = Evaluator(model)
    schedule = Schedule(config.training, len(dataset.train.y))
    batches = Batches(schedule.n_train, config.training.batch_size, config.seed)
    kept = Kept(config)
    step = 0
    for stretch in schedule.stretches():
        order = batches.take(stretch.end - step)
        run_steps(tf.constant(order))
        step = stretch.end
        samples, done = step * config.training.batch_size, step / schedule.n_steps
        if stretch.display:
            scores = finite(evaluate(just_used(dataset.train, order[-1])), step)
            reporter.point(samples, scores.named("train"), done=done)
        if stretch.validation is not None:
            scores = finite(evaluate(dataset.validation), step)
            kept.see(stretch.validation, scores, model)
            stop = reporter.validated(stretch.validation, samples, scores.named("val"), done=done)
            if stop:
                raise TrialPruned(f"at validation {stretch.validation}")
            if kept.is_over():
                break
    return kept.trained(model)


def just_used(train: Split, indices: np.ndarray) -> Split:
    """Gives the images of one mini-batch."""
    return Split(train.x[indices], train.y[indices])


def make_steps(
    model: keras.Model, optimizer_config: AdamConfig, train: Split, batch_size: int
) -> Callable[[tf.Tensor], None]:
    """Gives the function that trains on batches of indices, int32 (steps, batch_size).

    The images lie on the device; one call trains many steps in one graph.
    """
    optimizer = make_optimizer(optimizer_config)
    optimizer.build(model.trainable_variables)
    images, labels = tf.constant(train.x), tf.constant(train.y)

    @tf.function(input_signature=[tf.TensorSpec((None, batch_size), tf.int32)])
    def run_steps(order: tf.Tensor) -> None:
        for indices in order:
            x, y = tf.gather(images, indices), tf.gather(labels, indices)
            with tf.GradientTape() as tape:
                logits = model(x, training=True)  # (batch, n_classes)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)
                loss = tf.reduce_mean(losses)
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply(gradients, model.trainable_variables)

    return run_steps


def make_optimizer(config: AdamConfig) -> keras.optimizers.Optimizer:
    """Builds the optimizer."""
    return keras.optimizers.Adam(
        config.learning_rate, beta_1=config.beta_1, beta_2=config.beta_2, epsilon=config.epsilon
    )


class Evaluator:
    """Scores a model that gives logits on images; traced once, for any number of them."""

    def __init__(self, model: keras.Model) -> None:
        steps, features = model.input_shape[1:]
        spec = [tf.TensorSpec((None, steps, features)), tf.TensorSpec((None,), tf.int32)]

        @tf.function(input_signature=spec)
        def sums(x: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            logits = model(x, training=False)  # (n, n_classes)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)
            right = tf.argmax(logits, axis=1, output_type=tf.int32) == y
            return tf.reduce_sum(losses), tf.math.count_nonzero(right)

        self._sums = sums

    def __call__(self, split: Split) -> Scores:
        """Gives the scores over all images of `split`."""
        loss, right, n = 0.0, 0, len(split.y)
        for start in range(0, n, EVALUATION_BATCH):
            part = slice(start, start + EVALUATION_BATCH)
            losses, hits = self._sums(split.x[part], split.y[part])
            loss, right = loss + float(losses), right + int(hits)
        return Scores(loss / n, right / n)


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


class Kept:
    """The validation whose weights the training ends with: the best one so far, or the last."""

    def __init__(self, config: Config) -> None:
        self._objectives = config.objective
        self._restore = config.training.restore_best
        self._patience = config.training.patience
        self._best = self._last = Scores(math.nan, math.nan)
        self._best_at = self._last_at = 0
        self._weights: list[np.ndarray] = []

    def see(self, number: int, scores: Scores, model: keras.Model) -> None:
        """Takes validation `number`."""
        self._last, self._last_at = scores, number
        if self._best_at == 0 or self._rank(scores) > self._rank(self._best):
            self._best, self._best_at = scores, number
            if self._restore:
                self._weights = model.get_weights()

    def is_over(self) -> bool:
        """Says whether the last `patience` validations brought nothing better."""
        return self._patience is not None and self._last_at - self._best_at >= self._patience

    def trained(self, model: keras.Model) -> Trained:
        """Gives the model, with its best weights where they are to be restored."""
        scores, at = self._last, self._last_at
        if self._restore:
            model.set_weights(self._weights)
            scores, at = self._best, self._best_at
        named = {**scores.named("val"), "n_parameters": float(model.count_params())}
        return Trained(model, tuple(named[name] for name in self._objectives), at)

    def _rank(self, scores: Scores) -> float:
        return -scores.loss if self._objectives[0] == "val_loss" else scores.accuracy

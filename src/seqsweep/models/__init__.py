"""Keras models of the configurations in `conf/model/`; imports TensorFlow."""

from seqsweep.models.classifier import build
from seqsweep.models.plain import logits, portable

__all__ = ["build", "logits", "portable"]

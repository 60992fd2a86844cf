"""Keras models of the configurations in `conf/model/`; imports TensorFlow."""

from seqsweep.models.classifier import build, variables_of
from seqsweep.models.plain import logits, portable

__all__ = ["build", "logits", "portable", "variables_of"]

"""`optimizer`: how weights change."""

from __future__ import annotations

from typing import Literal

from seqsweep.config.values import Fraction, Positive, frozen


@frozen
class AdamConfig:
    """Adam, https://arxiv.org/abs/1412.6980."""

    name: Literal["adam"]
    learning_rate: Positive
    beta_1: Fraction
    beta_2: Fraction
    epsilon: Positive

"""`training`: how long, and how it is watched; `objective`: what it is for."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from seqsweep.config.values import Count, Flag, NotNegative, Positive, frozen, listed


@frozen
class TrainingConfig:
    """How long and how one trial trains.

    `epochs` (passes over the training set) and `training_iters` (samples) are both limits: the
    one that is reached first ends the training. `validate_every` is in passes, `display_step` in
    gradient steps, `patience` in validations without improvement. `checkpoint_every_s` is in
    seconds: 0 is at every point of the curves, null is never, not at an interrupt either.
    """

    batch_size: Count
    epochs: Positive | None
    training_iters: Count | None
    validate_every: Positive
    display_step: Count
    patience: Count | None
    restore_best: Flag
    display: Literal["bar", "lines"]
    test_len: Count | None
    checkpoint_every_s: NotNegative | None

    @model_validator(mode="after")
    def _has_an_end(self) -> TrainingConfig:
        if self.epochs is None and self.training_iters is None:
            raise ValueError("one of epochs and training_iters must be set, both are null")
        if self.training_iters is not None and self.training_iters <= self.batch_size:
            raise ValueError(
                f"training_iters={self.training_iters} leaves no step: it must be larger than "
                f"batch_size={self.batch_size}"
            )
        return self


Objective = Literal["val_accuracy", "val_loss", "n_parameters"]


def _is_trained_for(names: tuple[str, ...]) -> tuple[str, ...]:
    if names[0] == "n_parameters":
        raise ValueError("the first objective governs the weights that are kept: not n_parameters")
    if len(set(names)) < len(names):
        raise ValueError(f"{list(names)} names one objective twice")
    return names


Objectives = Annotated[
    tuple[Objective, ...],
    BeforeValidator(listed),
    Field(min_length=1),
    AfterValidator(_is_trained_for),
]

"""`devices`: where trials run."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, model_validator

from seqsweep.config.values import Count, frozen, listed
from seqsweep.gpus import gpu_of_slot


def _device(slot: Any) -> Any:
    gpu_of_slot(slot)
    return slot


@frozen
class DevicesConfig:
    """On what trials run: `auto` is every GPU, or every CPU core where there is none.

    `slots` names a device for each trial at a time instead, `split` gives each trial that shares a
    GPU a part of its memory.
    """

    name: Literal["auto", "cpu", "gpu"]
    threads: Count
    trials_per_gpu: Count
    slots: Annotated[
        tuple[Annotated[str, BeforeValidator(_device)], ...] | None,
        BeforeValidator(lambda value: value if value is None else listed(value)),
    ]
    gpu_memory: Literal["growth", "split"]

    @model_validator(mode="after")
    def _slots_say_all(self) -> DevicesConfig:
        if self.slots is None:
            return self
        if not self.slots:
            raise ValueError("slots=[] names no device; null is by the machine")
        for key, default in (("name", "auto"), ("trials_per_gpu", 1)):
            if (value := getattr(self, key)) != default:
                raise ValueError(
                    f"slots={list(self.slots)} names each share of a device itself, so that "
                    f"{key}={value} has no meaning; leave it at {default}"
                )
        return self

"""Which slots are of use: a GPU that has failed takes its slots with it, and no trial's blame."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

from seqsweep.gpus import failure_in, list_gpus, listed_gpus, suspicion_in
from seqsweep.outcome import INTERRUPTED, DeviceFailed, Failed, Outcome
from seqsweep.process.messages import OUTPUT_FILE
from seqsweep.search.workers.slots import Slot
from seqsweep.search.workers.stops import Stop

TAIL = 64 * 1024  # bytes of a job's output in which its end is looked for


class Health:
    """Knows the GPUs that have failed; called from the threads of the slots.

    Attributes:
        slots: those that are still in use.
    """

    def __init__(self, slots: Iterable[Slot]) -> None:
        self.slots = [*slots]
        self._listed = listed_gpus() if any(slot.gpu for slot in self.slots) else ()
        self._failed: dict[str, str] = {}  # why, by GPU
        self._suspected: dict[str, object] = {}  # the values of the trial that told, by GPU
        self._changed = threading.Lock()

    def judge(
        self, slot: Slot, outcome: Outcome, folders: Iterable[Path], values: object
    ) -> Outcome:
        """Gives the outcome of a trial that ran there, `DeviceFailed` where its GPU has failed.

        Args:
            slot: where it ran.
            outcome: how it ended.
            folders: of its jobs, with their output.
            values: its parameters; a trial of the same ones fails by itself once more.
        """
        if slot.gpu is None or outcome == Failed(INTERRUPTED):
            return outcome
        if not isinstance(outcome, Failed):
            self._suspected.pop(slot.gpu, None)
            return outcome
        said = "\n".join([outcome.reason, *(_end_of(folder / OUTPUT_FILE) for folder in folders)])
        why = self._why(slot.gpu, said, values)
        if why is None:
            return outcome
        return DeviceFailed(f"{slot.name} has failed: {why}", outcome.traceback, again=True)

    def _why(self, gpu: str, said: str, values: object) -> str | None:
        """Gives by what a GPU has failed on which a trial failed; None where it has not."""
        if gpu in self._failed:
            return self._failed[gpu]
        why = failure_in(said) or self._suspect(gpu, said, values) or self._miss(gpu)
        if why is not None:
            with self._changed:
                self._failed.setdefault(gpu, why)
        return why

    def _suspect(self, gpu: str, said: str, values: object) -> str | None:
        """Blames the GPU for an error that a program may cause too, where two trials have it."""
        why = suspicion_in(said)
        if why is None:
            self._suspected.pop(gpu, None)
        elif self._suspected.setdefault(gpu, values) != values:
            return f"{why}, in two trials in a row"
        return None

    def _miss(self, gpu: str) -> str | None:
        """Says that nvidia-smi lists the GPU no more, though others; None where it does."""
        uuid = next((each.uuid for each in self._listed if each.is_called(gpu)), None)
        now = {each.uuid for each in list_gpus()} if uuid else set()
        return "nvidia-smi lists it no more" if now and uuid not in now else None

    @property
    def stop(self) -> Stop | None:
        """What ends the sweep where no slot is left; None while there is one."""
        if self.slots:
            return None
        failed = ", ".join(f"gpu:{gpu} ({why})" for gpu, why in self._failed.items())
        says = f"no slot is left, as GPUs have failed: {failed}; devices=cpu takes the CPU"
        return Stop("devices", says, is_failure=True)

    def leave(self, slot: Slot) -> str | None:
        """Takes the slot out of use if its GPU has failed, and says so; None if it has not."""
        with self._changed:
            why = self._failed.get(slot.gpu or "")
            if why is None:
                return None
            self.slots.remove(slot)
            n = len(self.slots)
            left = f"{n or 'no'} slot{'s are' if n > 1 else ' is'} left"
            return f"{slot.name} has failed: {why}; its slot is out of use, {left}"


def _end_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""

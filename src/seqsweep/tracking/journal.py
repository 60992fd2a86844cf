"""What is to be sent to a store, on disk until the store has it: a file of JSON lines.

The first line says which store it is for. A program that is killed may leave half a line at the
end, which nobody was told of yet.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from seqsweep.errors import TrackingError


@dataclass(frozen=True)
class Entry:
    """One thing to be done to the run of key `run`: a method of the store and its arguments.

    The arguments are plain values of JSON.
    """

    run: str
    what: str
    arguments: Mapping[str, Any]


class Journal:
    """The file `path`, which exists only while something waits; for one caller at a time."""

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        self.path = path
        self._header = header
        self._size = 0
        self._file: int | None = None

    @classmethod
    def header(cls, path: Path) -> dict[str, Any]:
        """Reads which store the file is for.

        Raises:
            TrackingError: there is no such file, or it is no journal.
        """
        try:
            with path.open("rb") as file:
                header = json.loads(file.readline())
        except (OSError, ValueError) as error:
            raise TrackingError(f"{path} cannot be read as a journal of unsent records") from error
        if not isinstance(header, dict) or "experiment" not in header:
            raise TrackingError(f"{path} is no journal of unsent records")
        return header

    def load(self) -> list[Entry]:
        """Gives what an earlier program left, in order, and goes on after it.

        Raises:
            TrackingError: it is for another store, or a line that was written whole cannot be read.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._cannot("read", error) from error
        whole = content[: content.rfind(b"\n") + 1]
        if whole and self.header(self.path) != self._header:
            raise TrackingError(
                f"what lies in {self.path} is for another MLflow store, of which its first line "
                f"tells; send it there first with `python -m seqsweep.tracking.send {self.path}`, "
                "or remove the file"
            )
        self._size = len(whole)
        entries = []
        for number, line in enumerate(whole.splitlines()[1:], 2):
            try:
                entries.append(Entry(**json.loads(line)))
            except (ValueError, TypeError) as error:
                raise TrackingError(f"line {number} of {self.path} is damaged") from error
        return entries

    def append(self, entry: Entry) -> None:
        """Writes an entry; once this returns, it outlives the program.

        Raises:
            TrackingError: it cannot be written, as on a full disk; the file is as it was.
        """
        line = _line(asdict(entry))
        try:
            if self._file is None:
                self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600)
                os.ftruncate(self._file, self._size)  # the half line at the end
            data = line if self._size else _line(self._header) + line
            if os.pwrite(self._file, data, self._size) < len(data):
                raise OSError("No space left on device")
        except OSError as error:
            with contextlib.suppress(OSError):
                if self._file is not None:
                    os.ftruncate(self._file, self._size)
            raise self._cannot("written", error) from error
        self._size += len(data)

    def clear(self) -> None:
        """Forgets everything: the store has it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self.path.unlink(missing_ok=True)
        self._size = 0

    def _cannot(self, what: str, error: OSError) -> TrackingError:
        return TrackingError(
            f"the journal of unsent records {self.path} cannot be {what}: {error.strerror or error}"
        )


def _line(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values).encode() + b"\n"

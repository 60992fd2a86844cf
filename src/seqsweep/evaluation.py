"""What the one look at unseen data gave, as a job leaves it in its folder."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from seqsweep.errors import SearchError, first_line
from seqsweep.folders import write_whole

FILE = "evaluation.json"


@dataclass(frozen=True)
class Evaluation:
    """A model by the number for which it is compared with others.

    Attributes:
        score: the name of the metric.
        value: the metric.
        higher_is_better: whether more of it is better.
        data: what tells these data from others, as a digest; scores on others are not compared.
        card: the model card, in Markdown.
    """

    score: str
    value: float
    higher_is_better: bool
    data: str
    card: str

    def is_better_than(self, value: float) -> bool:
        """Says whether the score is better than another; one that is the same is not."""
        return self.value > value if self.higher_is_better else self.value < value

    def write(self, folder: Path) -> None:
        """Leaves it in the job's folder."""
        write_whole(folder / FILE, json.dumps(asdict(self), indent=1).encode())

    @classmethod
    def read(cls, folder: Path) -> Evaluation | None:
        """Gives what was left there, None where nothing was.

        Raises:
            SearchError: it is something else.
        """
        path = folder / FILE
        if not path.exists():
            return None
        try:
            found = cls(**json.loads(path.read_text(encoding="utf-8")))
            found._check()
            return found
        except (ValueError, TypeError) as error:
            fields = ", ".join(f"{field.name} ({field.type})" for field in dataclasses.fields(cls))
            raise SearchError(
                f"{path} is not what evaluate_best is to leave ({first_line(error)}): a JSON "
                f"object of {fields} is accepted"
            ) from error

    def _check(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if type(value).__name__ != field.type and not _is_whole(value, field.type):
                raise TypeError(f"{field.name} is {value!r}, which is no {field.type}")
        if not math.isfinite(self.value):
            raise ValueError(f"value is {self.value}, which is not finite")


def _is_whole(value: object, type_name: str) -> bool:
    """Says whether a whole number stands for a float."""
    return type_name == "float" and type(value) is int

"""What commands print: tables for a person, JSON for a program."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from seqsweep.secrets import masked, masked_values
from seqsweep.terminal import Terminal


def print_json(values: Any) -> None:
    """Prints plain values, without secrets; what is no finite number is null."""
    text = json.dumps(masked_values(plain(values)), indent=2, ensure_ascii=False)
    Terminal().out(text, highlight=False)


def plain(values: Any) -> Any:
    """Gives values as JSON has them."""
    if isinstance(values, dict):
        return {str(key): plain(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [plain(value) for value in values]
    if isinstance(values, float) and not math.isfinite(values):
        return None
    if isinstance(values, date):
        return values.isoformat()
    return str(values) if isinstance(values, Path) else values


def table(*columns: str, right: Iterable[str] = ()) -> Table:
    """Gives an empty table whose columns fold rather than lose text."""
    made = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        justify = "right" if column in right else "left"
        made.add_column(column, justify=justify, overflow="fold")
    return made


def say(text: str = "", *, style: str | None = None) -> None:
    """Prints a line as it is, without secrets."""
    Terminal().print(escape(masked(text)), style=style, highlight=False, soft_wrap=True)


def ago(then: datetime | None) -> str:
    """Says roughly how long ago a time was, by this machine's clock."""
    if then is None:
        return ""
    number, unit, *_ = duration(datetime.now() - then).split()
    return f"{number} {unit} ago"


def duration(span: timedelta | None) -> str:
    """Writes a time span by its two largest units."""
    if span is None:
        return ""
    seconds = max(0.0, span.total_seconds())
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if not hours:
        return f"{minutes} min {int(seconds) % 60:02} s"
    return f"{hours} h {minutes % 60:02} min" if not days else f"{days} d {hours % 24} h"

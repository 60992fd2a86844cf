"""The terminal that a person looks at, or the log that nobody redraws."""

import os

from rich.console import Console


def is_live(console: Console) -> bool:
    """Says whether there is a terminal that can redraw; a CI log cannot."""
    return console.is_terminal and not os.environ.get("CI")

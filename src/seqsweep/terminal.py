"""The terminal that a person looks at, or the log that nobody redraws."""

import os

from rich.console import Console

LOG_WIDTH = 200  # characters: a log has no width of its own


class Terminal(Console):
    """A console whose reader may leave, as `head` does: then the rest is written nowhere."""

    def __init__(self) -> None:
        super().__init__()
        if not self.is_terminal:
            self.width = LOG_WIDTH

    def on_broken_pipe(self) -> None:
        """Goes on without a reader, where rich would end the program."""
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)


def is_live(console: Console) -> bool:
    """Says whether there is a terminal that can redraw; a CI log cannot."""
    return console.is_terminal and not os.environ.get("CI")

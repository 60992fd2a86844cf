"""What is written of a sweep's findings, and under which names."""

from __future__ import annotations

from dataclasses import dataclass

FOLDER = "report"  # within the sweep's folder, and within its run
SUMMARY, TABLE, PAGE, PICTURES = "report.md", "trials.json", "figures.html", "figures"


@dataclass(frozen=True)
class Written:
    """The report's text, the names of the pictures, and which figures failed, with the reason."""

    report: str
    pictures: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    has_page: bool = False

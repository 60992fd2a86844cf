"""What is written of a sweep's findings, under which names; report and table."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from seqsweep.folders import write_whole
from seqsweep.search.report.findings.snapshot import Snapshot
from seqsweep.search.report.findings.summary import Importances, summary
from seqsweep.search.report.findings.table import table

FOLDER = "report"  # within the sweep's folder, and within its run
SUMMARY, TABLE, PAGE, PICTURES = "report.md", "trials.json", "figures.html", "figures"


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        report: the report's text.
        importances: of the parameters, as the report has them.
        pictures: the names of the figures' files.
        problems: which figures failed, with the reason.
    """

    report: str
    importances: Importances = field(default_factory=dict)
    pictures: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    has_page: bool = False


def write_report(snapshot: Snapshot, folder: Path, importances: Importances) -> Written:
    """Writes report and table into `folder`, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    report = summary(snapshot, importances)
    write_whole(folder / SUMMARY, report.encode())
    write_whole(folder / TABLE, json.dumps(table(snapshot), default=str).encode())
    return Written(report, importances)

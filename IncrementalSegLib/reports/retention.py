"""The page of the retention gate: verdict, structures sorted by harm, slices before and after."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from IncrementalSegLib.evaluation.metrics import summarise
from IncrementalSegLib.evaluation.retention import RetentionReport, StructureRow
from IncrementalSegLib.reports.changes import Change, State
from IncrementalSegLib.reports.content import ChangeTable, Report, Section
from IncrementalSegLib.reports.page import write_report
from IncrementalSegLib.reports.slices import SHOWN, SliceRow, worst_slices
from IncrementalSegLib.types import StructureId

_TEXT = (
    "Dice of both versions on the same scans, most harmed structure first. The scans were held out when the structure "
    "was taught, unless its row says proxy. A guaranteed structure is not scored."
)
_WORDS = (
    ("harmed", "lost more than the limit, and with five scans or more the 95 % interval excludes 0"),
    (
        "unsure",
        "lost more than the limit, but the interval includes 0; with fewer than five scans: undecided, see the reason",
    ),
    ("kept", "neither harmed nor unsure nor improved"),
    ("improved", "gained more than the limit; with five scans or more the interval also excludes 0"),
    ("guaranteed", "not scored: both versions predict it with the same weights"),
)
_PROXY = (
    "proxy",
    "no held-out scan was available: exemplars or the agreement of both versions were used instead, which says less",
)


def retention_page(
    report: RetentionReport, pictures: Mapping[tuple[StructureId, str], SliceRow], title: str, intro: str
) -> Report:
    """Say what the gate found.

    Args:
        report: What it found.
        pictures: Structure and case -> slice with the masks before and after.
        title: Title of the page.
        intro: Which versions were compared.
    """
    changes = tuple(_change(row) for row in report.rows)
    sections = [Section("Before and after", _TEXT, (ChangeTable(changes),))] if changes else []
    ids = {row.structure: row.id for row in report.rows}
    slices = worst_slices(changes, ids, pictures)
    if slices.rows:
        text = f"Of each structure at most {SHOWN} scans: those that lost most."
        sections.append(Section("Where it changed most", text, (slices,)))
    reasons = tuple(f"{row.structure}: {row.why}." for row in report.rows if row.why not in report.sentence)
    limits = report.limits
    facts = (
        ("harmed: a structure that lost more than", f"{limits.harm:g} points"),
        ("unsure, with fewer than five scans: one that lost at least", f"{limits.unsure:g} points"),
        ("held back: a mean loss over all structures of more than", f"{limits.mean:g} points"),
    )
    words = (*_WORDS, _PROXY) if any(row.kind == "proxy" for row in report.rows) else _WORDS
    return Report(title, intro, (report.sentence, *reasons), tuple(sections), facts=facts, glossary=words)


def write_retention_page(
    report: RetentionReport,
    pictures: Mapping[tuple[StructureId, str], SliceRow],
    folder: str | Path,
    name: str,
    before: int,
    after: int,
) -> Path:
    """Write the page of a judgement and return it.

    Args:
        report: What the gate found.
        pictures: Structure and case -> slice with the masks before and after.
        folder: Where to write.
        name: Name of the model.
        before: Number of the version in use.
        after: Number of the version judged.

    Raises:
        IncrementalSegError: A page of another origin is there, or the folder cannot be written.
    """
    title = f"{name}: was everything kept in version {after}?"
    intro = f"Version {before} and version {after} on the scans held out when each structure was taught."
    return write_report(retention_page(report, pictures, title, intro), Path(folder))


def _change(row: StructureRow) -> Change:
    rng = np.random.default_rng(0)
    before, after = (summarise(side, rng) if side else None for side in (row.before, row.after))
    note = f"{row.kind}: {row.note}" if row.kind == "proxy" else row.note
    if row.basis == "agreement":  # nothing was there to score the version before with
        return Change(row.structure, "", None, after, judged=row.verdict, note=note)
    judged: State = "not learned" if row.unlearned else row.verdict
    return Change(row.structure, "", before, after, row.change, judged, note)

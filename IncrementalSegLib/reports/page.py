"""Write a report as one HTML page that needs no network, no JavaScript and no other file."""

from __future__ import annotations

import base64
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from IncrementalSegLib.errors import IncrementalSegError
from IncrementalSegLib.evaluation.intervals import MARGIN_POINTS, signed
from IncrementalSegLib.evaluation.verdicts import HARDLY_LEARNED
from IncrementalSegLib.files import write_bytes
from IncrementalSegLib.reports.changes import State
from IncrementalSegLib.reports.content import ChangeTable, MatrixChart, Report
from IncrementalSegLib.reports.pictures import FOUND, SIDE, TRUTH, outlined, png
from IncrementalSegLib.reports.slices import SliceRow
from IncrementalSegLib.reports.svg import panels

NAME = "report.html"
"""File name of a page."""

GENERATOR = '<meta name="generator" content="IncrementalSeg">'
"""Marks a page of this program, which a later report may replace."""

_GLOSSARY = {
    "Dice": "overlap of prediction and truth, from 0 (none) to 1 (identical)",
    "point": "0.01 of Dice",
    "ASSD": "average distance between the two surfaces, in mm; only where both are there; smaller is better",
    "interval": "95 % bootstrap interval over cases (and seeds); needs at least five cases",
    "new": "taught by this step",
    "higher": "the interval of the change lies above 0",
    "kept": f"the interval (with fewer than five cases the mean) of the change lies above −{MARGIN_POINTS:g} points",
    "lower": "the interval of the change lies below 0; with fewer than five cases: the mean is not kept",
    "unclear": "the cases show neither that it was kept nor that it got worse",
    "not learned": f"the Dice is below {HARDLY_LEARNED:g}: the model does not find the structure",
}
"""Word -> meaning; the meaning of a state appears where the state does."""

_TONES: dict[State, str] = {
    "new": "good",
    "higher": "good",
    "kept": "good",
    "improved": "good",
    "guaranteed": "good",
    "lower": "bad",
    "harmed": "bad",
    "not learned": "bad",
    "unclear": "open",
    "unsure": "open",
    "unknown": "open",
}


def check_report(folder: Path) -> None:
    """Fail before long work if a report could not be written after it.

    Args:
        folder: Where the report is to be written.

    Raises:
        IncrementalSegError: A page of another origin is there.
    """
    target = folder / NAME
    if target.is_file() and GENERATOR not in target.read_text("utf-8", "replace"):
        raise IncrementalSegError(
            f"{target} is not a report of this program and is not replaced.", todo="Choose another folder."
        )


def write_report(report: Report, folder: Path) -> Path:
    """Write ``report.html`` into a folder, which is made if need be.

    Args:
        report: What to say.
        folder: Where to write.

    Returns:
        The page.

    Raises:
        IncrementalSegError: A page of another origin is there, or the folder cannot be written.
    """
    check_report(folder)
    text = render(report)
    target = folder / NAME
    write_bytes(target, text.encode(), make=True)
    return target


def render(report: Report) -> str:
    """Return a complete HTML document with everything embedded."""
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"signed": signed, "number": _number}
    templates.globals |= {"tones": _TONES, "panels": panels, "picture": _picture}
    return templates.get_template("page.html.jinja").render(
        report=report,
        warnings=list(dict.fromkeys((*_seen(report), *report.warnings))),
        glossary=_glossary(report),
        generator=GENERATOR,
        colors={"truth": TRUTH, "found": FOUND},
    )


def _glossary(report: Report) -> list[tuple[str, str]]:
    """Return the words of the page with their meanings."""
    items = [item for section in report.sections for item in section.items]
    states = {change.state for item in items if isinstance(item, ChangeTable) for change in item.changes}
    words = {**_GLOSSARY, **dict(report.glossary)}
    if any(isinstance(item, MatrixChart) for item in items):
        words["forgetting"] = "best earlier Dice minus the last one"
    return [(word, meaning) for word, meaning in words.items() if word not in _TONES or word in states]


def _seen(report: Report) -> list[str]:
    """Say for which scores the model had seen the cases in training."""
    tables = (item for section in report.sections for item in section.items if isinstance(item, ChangeTable))
    lines = []
    for change in (change for table in tables for change in table.changes):
        if change.after is not None and change.after.seen_in_training:
            who = f"{change.structure}, {change.method}" if change.method else change.structure
            lines.append(change.after.seen(who))
    return lines


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")


def _picture(row: SliceRow, column: int | None) -> str:
    """Return a picture as the address of an image; of many beside each other each is smaller."""
    side = min(SIDE, 1600 // (1 + len(row.predictions)))
    data = base64.b64encode(png(outlined(row, column, side))).decode("ascii")
    return f"data:image/png;base64,{data}"

"""Turn a report into one HTML page that needs no network and no JavaScript."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape

from IncrementalSegLib.evaluation.content import Change, ChangeChart, ChangeTable, Chart, CurveChart, Report, SliceGrid
from IncrementalSegLib.evaluation.intervals import signed
from IncrementalSegLib.evaluation.metrics import StructureScore
from IncrementalSegLib.evaluation.style import CSS

Pictures = Mapping[int, tuple[bytes, bytes]]
"""PNGs for light and dark mode by the ``id`` of their chart."""

GLOSSARY = (
    ("Dice", "overlap of prediction and truth, from 0 (none) to 1 (identical)"),
    ("point", "0.01 of Dice"),
    ("ASSD", "average distance between the two surfaces, in mm; only where both are there"),
    ("interval", "95 % bootstrap interval over cases (and seeds); needs at least five cases"),
    ("kept", "the interval of the change lies above −2 points; with fewer than five cases, the mean change does"),
    ("unclear", "the cases show neither that it was kept nor that it changed"),
    ("forgetting", "best earlier Dice minus the last one"),
)

_WORDS = {
    "new": ("new", "good"),
    "higher": ("higher", "good"),
    "kept": ("kept", "good"),
    "lower": ("lower", "bad"),
    "unclear": ("unclear", "open"),
    "unknown": ("–", "open"),
    "harmed": ("harmed", "bad"),
    "unsure": ("unsure", "open"),
    "improved": ("improved", "good"),
}


GENERATOR = '<meta name="generator" content="IncrementalSeg">'
"""Marks a page of this program, which a later report may replace."""


def page(report: Report, pictures: Pictures) -> str:
    """Write the page.

    Args:
        report: What to say.
        pictures: The drawn charts.

    Returns:
        A complete HTML document with its pictures embedded.
    """
    first, *others = report.verdict or ("",)
    verdict = f'<p class="lead">{escape(first)}</p>' + "".join(f"<p>{escape(line)}</p>" for line in others)
    warnings = "".join(f"<p>{escape(line)}</p>" for line in (*_seen(report), *report.warnings))
    facts = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in report.facts)
    body = "\n".join(
        f"<section>\n<h2>{escape(section.title)}</h2>\n"
        + (f'<p class="text">{escape(section.text)}</p>\n' if section.text else "")
        + "\n".join(
            _table(item) if isinstance(item, ChangeTable) else _figure(item, pictures[id(item)])
            for item in section.items
        )
        + "\n</section>"
        for section in report.sections
    )
    words = "".join(f"<span><b>{escape(word)}</b> {escape(text)}</span>" for word, text in report.glossary or GLOSSARY)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"{GENERATOR}\n"
        f"<title>{escape(report.title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>\n"
        f'<header>\n<h1>{escape(report.title)}</h1>\n<p class="intro">{escape(report.intro)}</p>\n</header>\n'
        + (f'<div class="verdict">{verdict}</div>\n' if report.verdict else "")
        + (f'<div class="warning" role="note">{warnings}</div>\n' if warnings else "")
        + f'{body}\n<footer>\n<p class="glossary">{words}</p>\n'
        + (f"<dl>{facts}</dl>\n" if facts else "")
        + "</footer>\n</main>\n</body>\n</html>\n"
    )


def _seen(report: Report) -> list[str]:
    """Say for which scores the model had seen the cases in training."""
    changes = [
        change
        for section in report.sections
        for item in section.items
        if isinstance(item, ChangeTable)
        for change in item.changes
    ]
    lines = []
    for change in changes:
        if change.after is not None and change.after.seen_in_training:
            who = f"{change.structure}, {change.method}" if change.method else change.structure
            count, total = change.after.seen_in_training, len(change.after.scores)
            lines.append(f"{who}: {count} of {total} cases were seen in training, so their scores flatter.")
    return lines


def _figure(chart: Chart, png: tuple[bytes, bytes]) -> str:
    light, dark = (f"data:image/png;base64,{base64.b64encode(part).decode('ascii')}" for part in png)
    source = f'<source media="(prefers-color-scheme: dark)" srcset="{dark}">' if png[0] != png[1] else ""
    caption = f"<figcaption>{escape(chart.caption)}</figcaption>" if chart.caption else ""
    return (
        f'<figure class="card"><div class="scroll"><picture>{source}'
        f'<img src="{light}" alt="{escape(_alternative(chart))}"></picture></div>{caption}</figure>'
    )


def _alternative(chart: Chart) -> str:
    if isinstance(chart, ChangeChart):
        return "Dice before and after, per structure and method; the numbers are in the table"
    if isinstance(chart, CurveChart):
        return "Learning curves: " + ", ".join(panel.title for panel in chart.panels)
    if isinstance(chart, SliceGrid):
        return "Slices with outlines of truth and prediction: " + ", ".join(row.title for row in chart.rows)
    return "Dice per structure after every step: " + ", ".join(title for title, _ in chart.panels)


def _table(table: ChangeTable) -> str:
    structures = dict.fromkeys(change.structure for change in table.changes)
    headed = any(change.method for change in table.changes)
    heads = ("", "Dice before", "Dice after", "Change in points", "its 95 % interval", "ASSD in mm", "")
    rows = []
    for structure in structures:
        if headed:
            rows.append(f'<tr class="group"><th colspan="{len(heads)}">{escape(structure)}</th></tr>')
        rows.extend(
            _row(change, change.method if headed else structure)
            for change in table.changes
            if change.structure == structure
        )
    head = "".join(f"<th>{text}</th>" for text in heads)
    return (
        f'<div class="card scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n'
        + "\n".join(rows)
        + f"\n</tbody>\n</table>{_cases(table)}</div>"
    )


def _row(change: Change, label: str) -> str:
    word, tone = _WORDS[change.state]
    both = change.comparison
    interval = "–"
    if both is not None and both.low is not None and both.high is not None:
        interval = f"{signed(both.low)} to {signed(both.high)}"
    elif both is not None:
        interval = f"{both.cases} case{'' if both.cases == 1 else 's'}, listed"
    surface = " → ".join(_number(side.assd_mm, 1) for side in (change.before, change.after) if side)
    cells = (
        _dice(change.before),
        f'<b class="{tone}">{_dice(change.after)}</b>' + _missed(change.after),
        f'<span class="{tone}">{"–" if change.points is None else signed(change.points)}</span>',
        interval,
        surface or "–",
        f'<span class="chip {tone}">{word}</span>',
    )
    note = f"<small>{escape(change.note)}</small>" if change.note else ""
    return f"<tr><th>{escape(label)}{note}</th>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _dice(side: StructureScore | None) -> str:
    return _number(None if side is None else side.dice, 3)


def _missed(side: StructureScore | None) -> str:
    counts = (("missed", side.missed), ("where none is", side.falsely_present)) if side else ()
    said = ", ".join(f"{word} in {count}" if word == "missed" else f"{count} {word}" for word, count in counts if count)
    return f"<small>{said}</small>" if said else ""


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _cases(table: ChangeTable) -> str:
    """List the cases; open where there are too few of them for an interval."""
    rows, few = [], False
    for change in table.changes:
        sides = [{item.case: item for item in side.scores} if side else {} for side in (change.before, change.after)]
        few |= 0 < len(sides[1]) < 5
        for case, item in sides[1].items():
            before = sides[0].get(case)
            cells = (
                escape(change.structure),
                escape(change.method),
                escape(case),
                _number(before.dice if before else None, 3),
                _number(item.dice, 3),
                _number(item.assd_mm, 1),
            )
            rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    heads = "".join(f"<th>{text}</th>" for text in ("Structure", "", "Case", "Before", "After", "ASSD in mm"))
    return (
        f'<details{" open" if few else ""}><summary>Every case</summary><table class="cases">'
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></details>"
    )

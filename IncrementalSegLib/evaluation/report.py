"""Write a report: one self-contained HTML page, and its pictures as PNGs beside it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from IncrementalSegLib.errors import IncrementalSegError
from IncrementalSegLib.evaluation.content import Change, ChangeChart, ChangeTable, Chart, CurveChart, Report, SliceGrid
from IncrementalSegLib.evaluation.figures import draw
from IncrementalSegLib.evaluation.page import GENERATOR, page
from IncrementalSegLib.evaluation.theme import DARK, LIGHT, canvas

_ALONE = {
    "kept by": "was kept",
    "higher with": "became better",
    "lower with": "lost ground",
    "forgotten by": "was forgotten",
    "unclear with": "may have changed",
}


def check_report(folder: Path, name: str = "report") -> None:
    """Fail before long work if a report could not be written after it.

    Args:
        folder: Where the report is to be written.
        name: File name of the page without its ending.

    Raises:
        IncrementalSegError: matplotlib is not installed, or a page of another origin has that name.
    """
    canvas(1.0, LIGHT)
    target = folder / f"{name}.html"
    if target.is_file() and GENERATOR not in target.read_text("utf-8", "replace"):
        raise IncrementalSegError(
            f"{target} is not a report of this program and is not replaced.", todo="Choose another folder."
        )


def write_report(report: Report, folder: Path, name: str = "report") -> Path:
    """Write ``<name>.html`` and ``<name>-1-changes.png`` and so on into a folder, which is made if need be.

    Everything is drawn before the first file is written, and the page comes last.

    Args:
        report: What to say.
        folder: Where to write.
        name: File name of the page without its ending, and the beginning of the pictures' names.

    Returns:
        The page.

    Raises:
        IncrementalSegError: matplotlib is not installed, a page of another origin has that name, or the folder
            cannot be written.
    """
    check_report(folder, name)
    charts = [item for section in report.sections for item in section.items if not isinstance(item, ChangeTable)]
    pictures = {id(chart): _both(chart) for chart in charts}
    text = page(report, pictures)
    target = folder / f"{name}.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number, chart in enumerate(charts, 1):
            _write(folder / f"{name}-{number}-{_kind(chart)}.png", pictures[id(chart)][0])
        _write(target, text.encode("utf-8"))
    except OSError as error:
        raise IncrementalSegError(
            f"The report cannot be written to {folder}: {error.strerror or error}.",
            todo="Choose a folder that exists, can be written and has space left.",
        ) from error
    return target


def verdict(changes: Sequence[Change]) -> tuple[str, ...]:
    """Say in plain sentences what became of the old structures and how well the new ones were learned.

    Args:
        changes: All structures and methods of one step.

    Returns:
        One sentence per structure, the old ones first; structures that were not scored are left out.
    """
    structures = dict.fromkeys(change.structure for change in changes)
    grouped = [[change for change in changes if change.structure == name] for name in structures]
    old = [_fate(group) for group in grouped if any(change.before for change in group)]
    new = [_learned(group) for group in grouped if not any(change.before for change in group)]
    return tuple(sentence for sentence in (*old, *new) if sentence)


def _both(chart: Chart) -> tuple[bytes, bytes]:
    light = draw(chart, LIGHT)
    return light, light if isinstance(chart, SliceGrid) else draw(chart, DARK)


def _kind(chart: Chart) -> str:
    if isinstance(chart, ChangeChart):
        return "changes"
    if isinstance(chart, CurveChart):
        return "curves"
    return "slices" if isinstance(chart, SliceGrid) else "matrix"


def _fate(group: Sequence[Change]) -> str:
    scored = [
        (change, change.before.dice, change.after.dice)
        for change in group
        if change.before and change.after and change.before.dice is not None and change.after.dice is not None
    ]
    if not scored:
        return ""
    name = f"{group[0].structure[:1].upper()}{group[0].structure[1:]}"
    few = any(change.comparison is not None and change.comparison.low is None for change, _, _ in scored)
    end = " (too few cases for an interval)." if few else "."
    if len(scored) == 1 and not scored[0][0].method:
        change, before, after = scored[0]
        return f"{name} {_ALONE[_word(change, before, after)]}: Dice {before:.2f} → {after:.2f}{end}"
    same = len({f"{before:.2f}" for _, before, _ in scored}) == 1
    fates: dict[str, list[str]] = {}
    for change, before, after in scored:
        numbers = f"{after:.2f}" if same else f"{before:.2f} → {after:.2f}"
        fates.setdefault(_word(change, before, after), []).append(f"{change.method} ({numbers})")
    said = "; ".join(f"{word} {_and(methods)}" for word, methods in fates.items())
    return f"{name}, Dice {scored[0][1]:.2f} before: {said}{end}" if same else f"{name}: {said}{end}"


def _word(change: Change, before: float, after: float) -> str:
    if change.state == "lower":
        return "forgotten by" if after < before / 2 else "lower with"
    return {"kept": "kept by", "higher": "higher with"}.get(change.state, "unclear with")


def _learned(group: Sequence[Change]) -> str:
    scored = [(change.method, change.after.dice) for change in group if change.after and change.after.dice is not None]
    if not scored:
        return ""
    structure = group[0].structure
    listing = ", ".join(f"{method} {dice:.2f}".strip() for method, dice in scored)
    return f"{structure[:1].upper()}{structure[1:]} was learned: Dice {listing}."


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _write(path: Path, data: bytes) -> None:
    """Replace a file in one go, so that a reader never sees half of it."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise

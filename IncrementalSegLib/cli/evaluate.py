"""``incrementalseg evaluate``: score a model on labelled cases."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from IncrementalSegLib.cli.output import (
    AcceptGrid,
    AsJson,
    CaseNames,
    DataPath,
    Device,
    ModelPath,
    Strict,
    number,
    print_json,
    print_table,
    progress_bar,
    say,
)  # fmt: skip
from IncrementalSegLib.cli.words import spelled
from IncrementalSegLib.errors import phrased

if TYPE_CHECKING:
    from IncrementalSegLib.engine.scores.evaluate import Evaluation

_COLUMNS = (
    "ASSD: mean distance between both surfaces; HD95: 95th percentile of that distance; missed: cases that show the "
    "structure in which nothing was found."
)


def command(
    model: ModelPath,
    data: DataPath,
    cases: CaseNames = None,
    structures: Annotated[
        str | None, typer.Option(metavar="NAMES", help="All that model and data both name by default.")
    ] = None,
    version: Annotated[int | None, typer.Option(metavar="N", help="The current one by default.")] = None,
    largest_component: Annotated[
        bool, typer.Option("--largest-component", help="Keep only the largest component of each structure.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write a page that compares with the version before.")
    ] = None,
    against: Annotated[int | None, typer.Option(metavar="N", help="The version to compare with; the parent.")] = None,
    strict: Strict = False,
    accept_grid: AcceptGrid = False,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Score MODEL on labelled cases: Dice, ASSD and HD95 per structure."""
    from IncrementalSegLib.engine.compare.scores import compare_versions
    from IncrementalSegLib.engine.scores.evaluate import evaluate

    if against is not None and report is None:
        raise typer.BadParameter("--against needs --report FOLDER")
    with progress_bar("evaluate") as progress:
        asked: dict[str, Any] = {
            "cases": cases,
            "structures": structures,
            "version": version,
            "largest_component": largest_component,
            "strict": strict,
            "accept_grid": accept_grid,
            "device": device,
            "progress": progress,
        }
        earlier, page = None, None
        if report is None:
            result = evaluate(model, data, **asked)
        else:
            earlier, result, page = compare_versions(model, data, report, before=against, **asked)
    if as_json:
        before = {} if earlier is None else {"before": earlier.to_json()}
        print_json(result.to_json() | before | ({} if page is None else {"report": str(page)}))
        return
    if earlier is not None:
        _show(earlier)
    _show(result)
    say(_COLUMNS)
    for text in result.warnings:
        say(f"Warning: {phrased(text, spelled)}")
    if page is not None:
        say(f"Report: {page}")


def _show(result: Evaluation) -> None:
    """Print the scores of a version, and its cases where they are few."""
    rows = []
    for name, score in result.structures.items():
        interval = f"{score.dice_ci[0]:.3f} to {score.dice_ci[1]:.3f}" if score.dice_ci is not None else None
        distances = (number(score.assd_mm, 2), number(score.hd95_mm, 2))
        rows.append((name, number(score.dice), interval, *distances, score.cases, score.missed))
    columns = ("structure", "Dice", "95 % interval", "ASSD mm", "HD95 mm", "cases", "missed")
    print_table(f"Version {result.version}", columns, rows)
    for name, score in result.structures.items():
        if score.dice_ci is None and score.scores:
            listed = ", ".join(f"{item.case} {number(item.dice) or 'absent'}" for item in score.scores)
            say(f"{name}, too few cases for an interval: {listed}")

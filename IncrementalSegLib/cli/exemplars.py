"""``incrementalseg exemplars``: which scans a model remembers; pin, ban, budget, choose again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from IncrementalSegLib.cli.options import parse_pairs
from IncrementalSegLib.cli.output import (
    AcceptGrid,
    AsJson,
    CaseNames,
    Device,
    ModelPath,
    Strict,
    print_json,
    print_table,
    progress_bar,
    say,
)  # fmt: skip

_WHY = (
    "Certain rank: its place among the pieces that show the structure, the one that the model is surest of first. "
    "Covers: the share of the scans that it covers beyond the exemplars chosen before it; by content: as the "
    "named network sees them (trunk: the model's own)."
)


def command(
    model: ModelPath,
    action: Annotated[
        list[str] | None,
        typer.Argument(metavar="[pin ID | ban ID | budget N | remember]", help="Makes a new version."),
    ] = None,
    method: Annotated[str | None, typer.Option(metavar="M", help="remember: for this method.")] = None,
    data: Annotated[Path | None, typer.Option(metavar="DATA", help="remember: the old scans.")] = None,
    structures: Annotated[str | None, typer.Option(metavar="NAMES", help="remember: what was looked for.")] = None,
    cases: CaseNames = None,
    option: Annotated[list[str] | None, typer.Option(metavar="k=v", help="remember: option of the method.")] = None,
    strict: Strict = False,
    accept_grid: AcceptGrid = False,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """List the exemplars of MODEL, or pin, ban or limit them, or choose them from old scans."""
    from IncrementalSegLib.engine.exemplars import ban, budget, overview, pin
    from IncrementalSegLib.engine.remember import remember_again

    match action or []:
        case []:
            pass
        case ["pin", exemplar]:
            pin(model, exemplar)
        case ["ban", exemplar]:
            ban(model, exemplar)
        case ["budget", count] if count.isdigit():
            budget(model, int(count))
        case ["remember"]:
            if data is None or method is None:
                raise typer.BadParameter("remember needs --method M and --data DATA")
            with progress_bar() as progress:
                remember_again(
                    model, data, method, structures=structures, cases=cases, options=parse_pairs(option or []),
                    strict=strict, accept_grid=accept_grid, device=device, progress=progress,
                )  # fmt: skip
        case other:
            raise typer.BadParameter(f"{' '.join(other)!r}: write pin ID, ban ID, budget N, or remember")
    listing = overview(model)
    if as_json:
        print_json(listing)
        return
    rows = [
        (item["id"], item["case"], ", ".join(item["structures"]), item["mark"], item["reason"])
        for item in listing["exemplars"]
    ]
    print_table(f"Version {listing['version']}", ("exemplar", "case", "structures", "", "why"), rows)
    say(f"{len(rows)} exemplars, {listing['bytes'] / 1e6:.1f} MB.")
    if rows:
        say(_WHY)

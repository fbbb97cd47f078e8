"""``incrementalseg exemplars``: list the exemplars of a model; pin, ban, limit or choose them again."""

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
from IncrementalSegLib.types import Json

_WHY = (
    "Certainty rank: its rank among all pieces that show the structure, the most certain first. Coverage: the share of "
    "the training scans that it represents beyond the exemplars chosen before it, by the features of the model's "
    "network; of content: by the features of the network in brackets (trunk: the model's own encoder)."
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

    before = overview(model) if action else None
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
            with progress_bar("remember") as progress:
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
    if before is None:
        _show(listing)
    else:
        _show_change(before, listing)


def _show(listing: Json) -> None:
    rows = [(*_named(item), item["mark"], item["reason"]) for item in listing["exemplars"]]
    print_table(f"Version {listing['version']}", ("exemplar", "case", "structures", "", "why"), rows)
    say(f"{_count(listing)}.")
    if rows:
        say(_WHY)


def _show_change(before: Json, listing: Json) -> None:
    """Print the exemplars that an action added, removed or marked, and the count before and after."""
    old, new = ({item["id"]: item for item in side["exemplars"]} for side in (before, listing))
    rows = [(*_named(item), item["mark"] or f"no longer {old[key]['mark']}") for key, item in new.items()
            if key in old and item["mark"] != old[key]["mark"]]  # fmt: skip
    rows += [(*_named(item), "added") for key, item in new.items() if key not in old]
    rows += [(*_named(item), "removed") for key, item in old.items() if key not in new]
    if rows:
        print_table(f"Version {listing['version']}: changes", ("exemplar", "case", "structures", ""), rows)
    say(f"Version {listing['version']}: {_count(listing)}. Version {before['version']}: {_count(before)}.")


def _named(item: Json) -> tuple[str, str, str]:
    return item["id"], item["case"], ", ".join(item["structures"])


def _count(listing: Json) -> str:
    """Say how many exemplars can be rehearsed, their size and the budget; banned ones are counted apart."""
    banned = sum(item["mark"] == "banned" for item in listing["exemplars"])
    apart = f" and {banned} banned" if banned else ""
    limit = "" if listing["budget"] is None else f", budget {listing['budget']}"
    return f"{len(listing['exemplars']) - banned} exemplars{apart}, {listing['bytes'] / 1e6:.1f} MB{limit}"

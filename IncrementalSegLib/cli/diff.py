"""``incrementalseg diff``: what distinguishes two versions."""

from __future__ import annotations

from typing import Annotated

import typer

from IncrementalSegLib.cli.output import AsJson, ModelPath, number, print_json, print_table, say
from IncrementalSegLib.cli.words import STATUS
from IncrementalSegLib.types import Json


def command(
    model: ModelPath,
    first: Annotated[int, typer.Argument(metavar="N", help="Number of a version.")],
    second: Annotated[int, typer.Argument(metavar="M", help="Number of another one.")],
    as_json: AsJson = False,
) -> None:
    """Show what distinguishes versions N and M of MODEL."""
    from IncrementalSegLib.engine.compare.records import diff

    found = diff(model, first, second)
    if as_json:
        print_json(found)
        return
    sides = [side | {"status": STATUS[side["status"]]} for side in (found["first"], found["second"])]
    rows = [(name, *(side[name] for side in sides)) for name in ("status", "made", "by", "data", "exemplars")]
    rows.append(("size in MB", *(number(sum(side["bytes"].values()) / 1e6, 1) for side in sides)))
    rows.append(("held back by", *(_held(side) for side in sides)))
    names = dict.fromkeys(name for side in sides for name in side["structures"])
    rows += [(f"Dice of {name}", *(_dice(side, name) for side in sides)) for name in names]
    print_table(f"{found['model']}", ("", f"version {first}", f"version {second}"), rows)
    changes = found["structures"]
    for what in ("added", "removed"):
        if changes[what]:
            say(f"{what.capitalize()}: {', '.join(changes[what])}.")
    if changes["renamed"]:
        say(f"Renamed: {', '.join(f'{old} to {new}' for old, new in changes['renamed'])}.")


def _held(side: Json) -> str | None:
    return None if side["gate"] is None else ", ".join(side["gate"]["held_back_by"]) or "nothing"


def _dice(side: Json, name: str) -> str | None:
    if name not in side["structures"]:
        return "unknown to it"
    return number(side["structures"][name])

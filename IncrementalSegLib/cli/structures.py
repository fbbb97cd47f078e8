"""``incrementalseg structures``: what a model knows; rename or remove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from IncrementalSegLib.cli.output import AsJson, ModelPath, number, print_json, print_table, say
from IncrementalSegLib.cli.text_source import text_source

if TYPE_CHECKING:
    from IncrementalSegLib.store.versions import ModelFolder


def command(
    model: ModelPath,
    action: Annotated[
        list[str] | None, typer.Argument(metavar="[rename A B | remove A]", help="Makes a new version.")
    ] = None,
    neighbours: Annotated[
        bool, typer.Option("--neighbours", help="List which structures the network finds alike (method cfil).")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the structures of MODEL, rename one or remove one."""
    from IncrementalSegLib.engine.exemplars import remove_structure
    from IncrementalSegLib.store.edits import rename_structure
    from IncrementalSegLib.store.versions import open_model

    folder = open_model(model)
    match action or []:
        case []:
            pass
        case ["rename", old, new]:
            rename_structure(folder, old, new)
        case ["remove", name]:
            remove_structure(model, name)
        case other:
            raise typer.BadParameter(f"{' '.join(other)!r}: write rename A B, or remove A")
    if neighbours:
        _show_neighbours(folder, as_json)
        return
    record = folder.record()
    if as_json:
        print_json({"version": record.number, "structures": [item.to_json() for item in record.structures]})
        return
    rows = [
        (item.name, item.step, "#" + bytes(item.color).hex(), _code(item.terminology)) for item in record.structures
    ]
    print_table(f"Version {record.number}", ("structure", "step", "colour", "terminology"), rows)
    if source := text_source(record):
        say(source)


def _show_neighbours(folder: ModelFolder, as_json: bool) -> None:
    from IncrementalSegLib.engine.neighbours import neighbours

    found = neighbours(folder)
    if as_json:
        print_json({"version": folder.current, "neighbours": [vars(item) for item in found]})
        return
    if not found:
        say("No two structures can be compared.")
        return
    rows = [(item.one, item.other, number(item.cosine, 2), _versions(item.versions)) for item in found]
    print_table("Alike to the network, most alike first", ("structure", "structure", "cosine", "of version"), rows)


def _versions(numbers: tuple[int, int]) -> str:
    """Return one number for two structures that were taught last by the same step."""
    return ", ".join(map(str, dict.fromkeys(numbers)))


def _code(terminology: str | None) -> str | None:
    """Return scheme, code and meaning of a terminology entry, without its context names."""
    return None if terminology is None else " ".join(terminology.split("~")[2].split("^"))

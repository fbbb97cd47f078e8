"""``incrementalseg structures``: what a model knows; rename or remove."""

from __future__ import annotations

from typing import Annotated

import typer

from IncrementalSegLib.cli.output import AsJson, ModelPath, print_json, print_table


def command(
    model: ModelPath,
    action: Annotated[
        list[str] | None, typer.Argument(metavar="[rename A B | remove A]", help="Makes a new version.")
    ] = None,
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
    record = folder.record()
    if as_json:
        print_json({"version": record.number, "structures": [item.to_json() for item in record.structures]})
        return
    rows = [
        (item.name, item.step, "#" + bytes(item.color).hex(), _code(item.terminology)) for item in record.structures
    ]
    print_table(f"Version {record.number}", ("structure", "step", "colour", "terminology"), rows)


def _code(terminology: str | None) -> str | None:
    """Return scheme, code and meaning of a terminology entry, without its context names."""
    return None if terminology is None else " ".join(terminology.split("~")[2].split("^"))

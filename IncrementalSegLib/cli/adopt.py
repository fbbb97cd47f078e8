"""``incrementalseg adopt``: a network that another program trained becomes a model."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from IncrementalSegLib.cli.origin import origin_lines
from IncrementalSegLib.cli.output import AsJson, print_json, say
from IncrementalSegLib.structures import parse_names


class Program(StrEnum):
    """Programs whose networks can be adopted."""

    nnunet = "nnunet"
    totalsegmentator = "totalsegmentator"
    bundle = "bundle"


def command(
    program: Annotated[
        Program, typer.Argument(metavar="nnunet|totalsegmentator|bundle", help="The program that it comes from.")
    ],
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="Folder with plans.json, dataset.json and fold_0, ... or fold_all; with parts of TotalSegmentator; or "
            "a bundle.",
        ),
    ],
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="Folder of the new model; of several parts MODEL-PART.")
    ],
    folds: Annotated[
        str | None, typer.Option(metavar="a,b,c", help="Folds; several become an ensemble. All by default.")
    ] = None,
    checkpoint: Annotated[
        str, typer.Option(metavar="NAME", help="Name of the file in each fold.")
    ] = "checkpoint_final.pth",
    part: Annotated[
        str | None, typer.Option(metavar="NAME", help="One part of TotalSegmentator, such as organs. All by default.")
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Configuration of a bundle. By default inference.json or inference.yaml."),
    ] = None,
    structures: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES", help="NAME=NAME IN FOLDER of structures to be called otherwise; all are adopted."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a model of a network that PROGRAM trained; one that is unknown or hostile is refused."""
    from IncrementalSegLib.engine.adoption.adopt import adopt_nnunet
    from IncrementalSegLib.engine.adoption.bundle.adopt import adopt_bundle
    from IncrementalSegLib.engine.adoption.folder import FINAL
    from IncrementalSegLib.engine.adoption.totalsegmentator import adopt_totalsegmentator

    if program is not Program.nnunet and (folds is not None or checkpoint != FINAL):
        raise typer.BadParameter("Only nnU-Net has folds and a choice of checkpoints.")
    if program is not Program.totalsegmentator and part is not None:
        raise typer.BadParameter("Only TotalSegmentator has parts.", param_hint="--part")
    if program is not Program.bundle and config is not None:
        raise typer.BadParameter("Only a bundle has configurations.", param_hint="--config")
    if program is Program.totalsegmentator and structures is not None:
        raise typer.BadParameter("Structures of TotalSegmentator keep their names.", param_hint="--structures")
    names = {item.label: item.name for item in parse_names(structures)} if structures is not None else None
    if program is Program.totalsegmentator:
        made = adopt_totalsegmentator(folder, model, part=part)
    elif program is Program.bundle:
        made = [(model, adopt_bundle(folder, model, config=config, names=names))]
    else:
        made = [(model, adopt_nnunet(folder, model, folds=folds, checkpoint=checkpoint, names=names))]
    if as_json:
        models = [
            {"model": str(path), "version": record.number, "origin": record.step["origin"]} for path, record in made
        ]
        print_json(models[0] if program is not Program.totalsegmentator else {"models": models})
        return
    for path, record in made:
        say(f"{path}, version {record.number}: knows {', '.join(record.structures.names)}.")
        for line in origin_lines(record.step["origin"]):
            say(line)

"""``incrementalseg adopt``: a network that another program trained becomes a model."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from IncrementalSegLib.cli.origin import origin_lines
from IncrementalSegLib.cli.output import AsJson, print_json, say


class Program(StrEnum):
    """Programs whose networks can be adopted."""

    nnunet = "nnunet"


def command(
    program: Annotated[Program, typer.Argument(metavar="nnunet", help="The program that trained it: nnU-Net v2.")],
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder with plans.json, dataset.json and fold_0, ... or fold_all.")
    ],
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Folder of the new model.")],
    folds: Annotated[
        str | None, typer.Option(metavar="a,b,c", help="Folds; several become an ensemble. All by default.")
    ] = None,
    checkpoint: Annotated[
        str, typer.Option(metavar="NAME", help="Name of the file in each fold.")
    ] = "checkpoint_final.pth",
    as_json: AsJson = False,
) -> None:
    """Make a model of a network that PROGRAM trained; one that is unknown or hostile is refused."""
    from IncrementalSegLib.engine.adoption.adopt import adopt_nnunet

    assert program is Program.nnunet
    record = adopt_nnunet(folder, model, folds=folds, checkpoint=checkpoint)
    origin = record.step["origin"]
    if as_json:
        print_json({"model": str(model), "version": record.number, "origin": origin})
        return
    say(f"{model}, version {record.number}: knows {', '.join(record.structures.names)}.")
    for line in origin_lines(origin):
        say(line)

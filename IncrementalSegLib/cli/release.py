"""``incrementalseg release``: a version of a model in the form of another program."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from IncrementalSegLib.cli.output import AsJson, ModelPath, print_json, say


class Program(StrEnum):
    """Programs that a model can be released for."""

    nnunet = "nnunet"
    bundle = "bundle"
    onnx = "onnx"


def command(
    model: ModelPath,
    program: Annotated[
        Program,
        typer.Argument(metavar="nnunet|bundle|onnx", help="What reads it: nnU-Net v2, MONAI, or any that runs ONNX."),
    ],
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="OUT_FOLDER", help="The folder to write; nnUNetv2_predict finds nnUNet_results/DatasetNNN_X."
        ),
    ],
    version: Annotated[int | None, typer.Option(metavar="N", help="By default the version in use.")] = None,
    terms: Annotated[str, typer.Option("--license", metavar="TEXT", help="Terms of use, for the card.")] = "",
    as_json: AsJson = False,
) -> None:
    """Write a version of MODEL as a folder that PROGRAM runs; a model that it has no form for is refused."""
    from IncrementalSegLib.engine.release.bundle import release_bundle
    from IncrementalSegLib.engine.release.nnunet import release_nnunet
    from IncrementalSegLib.engine.release.onnx import release_onnx

    write, name = {
        Program.nnunet: (release_nnunet, "nnU-Net v2"),
        Program.bundle: (release_bundle, "MONAI, as a bundle"),
        Program.onnx: (release_onnx, "programs that run ONNX"),
    }[program]
    release = write(model, folder, number=version, license_text=terms)
    if as_json:
        print_json(vars(release))
        return
    say(f"{release.folder} holds version {release.version} for {name}:")
    for name, value in release.labels.items():
        say(f"  {value} {name}")
    for warning in release.warnings:
        say(warning)
    if release.overlapping:
        say("In its label maps later structures are painted over earlier ones.")
    say(f"Run it: {release.command}" if release.command else "README.md says how to run it.")
    say(f"Terms of use: {release.license}" if release.license else "No terms of use are stated; --license states them.")

"""``incrementalseg segment``: outline structures in scans."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from IncrementalSegLib.cli.output import (
    AsJson,
    Device,
    ModelPath,
    Strict,
    number,
    print_json,
    print_table,
    progress_bar,
    say,
)
from IncrementalSegLib.cli.words import spelled


class Format(StrEnum):
    """Formats of the result."""

    seg_nrrd = "seg.nrrd"
    nii_gz = "nii.gz"


def command(
    model: ModelPath,
    scans: Annotated[
        list[str],
        typer.Argument(metavar="SCAN...", help="Files, DICOM folders, folders of scans; channels joined by ;"),
    ],
    output: Annotated[Path, typer.Option(metavar="PATH", help="A folder; for one scan also a file name.")],
    structures: Annotated[str | None, typer.Option(metavar="NAMES", help="All by default.")] = None,
    version: Annotated[int | None, typer.Option(metavar="N", help="The current one by default.")] = None,
    format: Annotated[Format | None, typer.Option(help="As the name of the output says, else seg.nrrd.")] = None,  # noqa: A002
    uncertainty: Annotated[bool, typer.Option("--uncertainty", help="Also write a map of uncertainty, 0..1.")] = False,
    uncertainty_parts: Annotated[
        bool, typer.Option("--uncertainty-parts", help="Also write its parts, aleatoric (scan) and epistemic (model).")
    ] = False,
    similarity: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Also write how similar each voxel is to them (method cfil).")
    ] = None,
    unknown: Annotated[
        bool, typer.Option("--unknown", help="Also write a mask of voxels similar to nothing known (method cfil).")
    ] = False,
    largest_component: Annotated[
        bool, typer.Option("--largest-component", help="Keep only the largest component of each structure.")
    ] = False,
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Average over the mirrored scan (models adopted from nnU-Net).")
    ] = False,
    task: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Use the network of this task (methods clis and packnet)."),
    ] = None,
    precedence: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Where structures overlap, a label map shows the first of these."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that already exist.")] = False,
    strict: Strict = False,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Segment SCANs with MODEL; results lie on each scan's own grid."""
    from IncrementalSegLib.engine.segment import segment

    with progress_bar("segment") as progress:
        result = segment(
            model,
            scans,
            output,
            structures=structures,
            version=version,
            format=None if format is None else format.value,
            uncertainty=uncertainty,
            uncertainty_parts=uncertainty_parts,
            similarity=similarity,
            unknown=unknown,
            largest_component=largest_component,
            mirror=mirror,
            task=task,
            precedence=precedence,
            overwrite=overwrite,
            strict=strict,
            device=device,
            progress=progress,
        )
    if as_json:
        print_json(result.to_json())
    else:
        rows = [
            (scan, name, number(mls[index], 1))
            for index, scan in enumerate(result.scans)
            for name, mls in result.millilitres.items()
        ]
        print_table("Volumes", ("scan", "structure", "ml"), rows)
        for text in (*result.warnings, *(f"Wrote {path}" for path in result.outputs)):
            say(text)
        for scan in result.failed:
            say(f"Failed: {scan.scan}: {scan.error.phrased(spelled)}")
    if result.failed:
        raise typer.Exit(1)

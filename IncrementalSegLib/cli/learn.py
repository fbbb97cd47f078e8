"""``incrementalseg learn``: teach a model new structures."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from IncrementalSegLib.cli.output import (
    AsJson,
    CaseNames,
    DataPath,
    DeviceName,
    ModelPath,
    number,
    print_json,
    print_table,
    progress_bar,
    say,
)  # fmt: skip
from IncrementalSegLib.engine.progress import duration


class Exemplars(StrEnum):
    """Whether representative scans are kept."""

    keep = "keep"
    none = "none"


class Network(StrEnum):
    """Trunks."""

    unet2d = "unet2d"
    unet3d = "unet3d"


class PresetName(StrEnum):
    """Sizes and schedules."""

    quick = "quick"
    standard = "standard"
    paper = "paper"


def command(
    model: ModelPath,
    data: DataPath,
    structures: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help='What was looked for in these cases: "femur, tibia=LABEL IN DATA". Everything else is unknown there.',
        ),
    ],
    cases: CaseNames = None,
    improve: Annotated[bool, typer.Option("--improve", help="The structures are known and shall be improved.")] = False,
    method: Annotated[
        str | None, typer.Option(metavar="M", help="How old structures are kept; see `incrementalseg methods`.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(metavar="k=v", help="Option of the method; may be repeated.")
    ] = None,
    network: Annotated[Network | None, typer.Option(help="Fixed at the first step; unet2d by default.")] = None,
    preset: Annotated[
        PresetName | None, typer.Option(help="Size and schedule; standard on a GPU, quick on a CPU by default.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, metavar="N", help="Optimiser steps at most.")] = None,
    exemplars: Annotated[Exemplars, typer.Option(help="Keep representative scans for later steps.")] = Exemplars.keep,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Decides everything random.")] = 0,
    device: DeviceName = "auto",
    as_json: AsJson = False,
) -> None:
    """Teach MODEL new structures from labelled scans; the first step creates it."""
    from IncrementalSegLib.engine.learn import learn

    with progress_bar() as progress:
        result = learn(
            model,
            data,
            structures,
            cases=cases,
            improve=improve,
            method=method,
            options=parse_options(option or []),
            network=network,
            preset=preset,
            steps=steps,
            exemplars=exemplars.value,
            seed=seed,
            device=device,
            progress=progress,
        )
    if as_json:
        print_json(result.to_json())
    else:
        record = result.record
        rows = [
            (name, number(score["validation_dice"]), score["cases"])
            for name, score in result.to_json()["validation"].items()
        ]
        print_table("Dice on the cases set aside", ("structure", "Dice", "cases"), rows)
        say(
            f"Version {record.number} of {model} knows {', '.join(record.structures.names)} "
            f"({record.step['method']}, best weights from step {result.curve.best_step} of {result.curve.steps}, "
            f"{duration(record.seconds)})."
        )
        if record.step["set_aside"]:
            say(f"Set aside: {', '.join(entry['case'] for entry in record.step['set_aside'])}.")
    if not result.record.accepted:
        raise typer.Exit(3)


def parse_options(pairs: list[str]) -> dict[str, str]:
    """Read ``["alpha=0.3"]``.

    Raises:
        BadParameter: A pair has no equals sign.
    """
    options = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise typer.BadParameter(f"{pair!r} is not of the form k=v", param_hint="--option")
        options[name.strip()] = value.strip()
    return options

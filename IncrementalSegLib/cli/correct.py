"""``incrementalseg correct``: correct a scan with strokes, from which the model can learn."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from IncrementalSegLib.cli.gate import HELD_BACK, show
from IncrementalSegLib.cli.options import parse_pairs
from IncrementalSegLib.cli.output import (
    AsJson,
    CaseNames,
    Device,
    ModelPath,
    number,
    print_json,
    print_table,
    progress_bar,
    say,
)
from IncrementalSegLib.cli.segment import Format
from IncrementalSegLib.cli.words import spelled
from IncrementalSegLib.errors import CommandRef

if TYPE_CHECKING:
    from IncrementalSegLib.engine.session.status import SessionStatus


class Action(StrEnum):
    """Actions on an open session."""

    status = "status"
    undo = "undo"
    keep = "keep"
    discard = "discard"


def command(
    model: ModelPath,
    scan: Annotated[
        str | None, typer.Argument(metavar="[SCAN]", help="A file or DICOM folder; channels joined by ;")
    ] = None,
    strokes: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A .seg.nrrd: a segment per structure, and background.")
    ] = None,
    output: Annotated[Path | None, typer.Option(metavar="PATH", help="A file name or a folder.")] = None,
    method: Annotated[
        str | None,
        typer.Option(
            metavar="M",
            help="How the model learns from the strokes, or propagate-only. By default as in the open session, else "
            "propagate-only: nothing is learned.",
        ),
    ] = None,
    option: Annotated[list[str] | None, typer.Option(metavar="k=v", help="Option of the method.")] = None,
    steps: Annotated[int | None, typer.Option(metavar="N", min=1, help="Optimiser steps of the round.")] = None,
    session: Annotated[
        Action | None,
        typer.Option(help="In place of SCAN: show the session, undo its last round, keep or discard what was learned."),
    ] = None,
    version: Annotated[int | None, typer.Option(metavar="N", help="The current one by default.")] = None,
    format: Annotated[Format | None, typer.Option(help="As the name of the output says, else seg.nrrd.")] = None,  # noqa: A002
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that already exist.")] = False,
    simulate: Annotated[
        Path | None, typer.Option(metavar="DATA", help="In place of SCAN: labelled cases and a simulated user.")
    ] = None,
    cases: CaseNames = None,
    structures: Annotated[
        str | None, typer.Option(metavar="NAMES", help="NAME=LABEL of structures with another name in DATA.")
    ] = None,
    spots: Annotated[int, typer.Option(metavar="N", min=1, help="Strokes of the simulated user per round.")] = 16,
    rounds: Annotated[int, typer.Option(metavar="N", min=1, help="Rounds of the simulated user.")] = 2,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Segment SCAN with MODEL and let strokes correct the result; with --method a copy of MODEL learns from them."""
    if session is not None or simulate is not None:
        if session is not None and simulate is not None:
            raise typer.BadParameter("--session and --simulate exclude each other")
        if scan is not None or strokes is not None or output is not None or overwrite or format is not None:
            raise typer.BadParameter(
                "--session and --simulate correct no SCAN: leave out --strokes, --output, --overwrite and --format"
            )
    if session is not None and (method or option or steps or version):
        raise typer.BadParameter("--session takes none of --method, --option, --steps and --version")
    if simulate is None and (cases or structures):
        raise typer.BadParameter("--cases and --structures choose from the DATA of --simulate")
    learning: dict[str, Any] = {"method": method, "options": parse_pairs(option or [])} | (
        {} if steps is None else {"steps": steps}
    )
    if session is not None:
        _act(session, model, device, as_json)
        return
    if simulate is not None:
        _simulate(
            model,
            simulate,
            as_json,
            cases=cases,
            structures=structures,
            spots=spots,
            rounds=rounds,
            version=version,
            device=device,
            **learning,
        )
        return
    if scan is None or strokes is None or output is None:
        raise typer.BadParameter("name SCAN, --strokes FILE and --output PATH, or --session, or --simulate DATA")
    from IncrementalSegLib.engine.correct import correct

    with progress_bar("correct") as progress:
        result = correct(
            model,
            scan,
            strokes,
            output,
            **learning,
            version=version,
            format=None if format is None else format.value,
            overwrite=overwrite,
            device=device,
            progress=progress,
        )
    if as_json:
        print_json(result.to_json())
        return
    print_table("Volumes", ("structure", "ml"), [(name, number(ml, 1)) for name, ml in result.millilitres.items()])
    for text in (*result.warnings, *(f"Wrote {path}" for path in result.outputs)):
        say(text)
    if result.session is not None:
        say(f"{_learned(result.session)} {spelled(CommandRef('keep_corrections', {'model': str(model)}))} keeps it.")


def _act(action: Action, model: Path, device: Any, as_json: bool) -> None:
    from IncrementalSegLib.engine.correct import corrections, discard_corrections, undo_correction

    match action:
        case Action.keep:
            _keep(model, device, as_json)
            return
        case Action.discard:
            found = discard_corrections(model)
        case Action.undo:
            found = undo_correction(model)
        case Action.status:
            found = corrections(model)
    if as_json:
        print_json(found.to_json())
        return
    if action is Action.undo:
        say("The last round of the session is taken back; the outline that it wrote stays as it is.")
    if not found.rounds:
        done = "The correction session is discarded" if action is Action.discard else "No correction session is open"
        say(f"{done}; version {found.parent} of {model} is in use.")
    else:
        names = list(found.scans[0]["agreement"])
        rows = [
            (item["scan"], item["rounds"], item["voxels"], *(number(item["agreement"][name]) for name in names))
            for item in found.scans
        ]
        print_table("Dice of the first and the last outline", ("scan", "rounds", "voxels painted", *names), rows)
        say(f"{_learned(found)} {found.undoable} can be undone.")
        if found.candidate is not None:
            say(f"Version {found.candidate}, a candidate, holds what was learned.")


def _keep(model: Path, device: Any, as_json: bool) -> None:
    from IncrementalSegLib.engine.correct import keep_corrections

    with progress_bar("keep_corrections") as progress:
        result = keep_corrections(model, device=device, progress=progress)
    kept, used = result.record.number, result.record.accepted
    if as_json:
        print_json(result.to_json())
    else:
        show(result.report, f"Structures since version {result.record.parent}")
    if not as_json and used:
        say(f"Version {kept} of {model} is in use.")
    elif not as_json:
        accept = spelled(CommandRef("accept", {"model": str(model), "version": kept}))
        discard = spelled(CommandRef("discard_corrections", {"model": str(model)}))
        say(f"Version {kept} of {model} is a candidate; the version in use has not changed. To use it anyway: {accept}")
        say(f"The session stays open: correct more, undo rounds, or discard it: {discard}")
    if not used:
        raise typer.Exit(HELD_BACK)


def _learned(found: SessionStatus) -> str:
    """Say what a session has done."""
    rounds = f"{found.rounds} round{'s' if found.rounds > 1 else ''}"
    scans = f"{len(found.scans)} scan{'s' if len(found.scans) > 1 else ''}"
    return f"A copy of version {found.parent} has learned from {rounds} on {scans} ({found.method})."


def _simulate(model: Path, data: Path, as_json: bool, **options: Any) -> None:
    from IncrementalSegLib.engine.simulate import simulate

    with progress_bar("correct") as progress:
        result = simulate(model, data, **options, progress=progress)
    if as_json:
        print_json(result.to_json())
        return
    found, alone = result.mean(lambda case: case.dice), result.mean(lambda case: case.strokes_only)
    rounds = [f"round {index}" for index in range(1, result.rounds + 1)]
    rows = [(name, *map(number, scores), number(alone[name][-1])) for name, scores in found.items()]
    columns = ("structure", "before", *rounds, "strokes alone")
    if result.method is not None:
        start, back = result.mean(lambda case: case.start), result.mean(lambda case: case.back)
        columns = ("structure", "version in use", *columns[1:], "looking back")
        rows = [
            (row[0], number(start[name][0]), *row[1:], number(back[name][0]))
            for name, row in zip(found, rows, strict=True)
        ]
    print_table(f"Mean Dice of {len(result.cases)} cases, {result.spots} strokes per round", columns, rows)
    for text in result.warnings:
        say(text)

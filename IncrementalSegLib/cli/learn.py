"""``incrementalseg learn``: teach a model new structures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from IncrementalSegLib.cli.events import EventLines, event_lines, print_finished
from IncrementalSegLib.cli.gate import HELD_BACK, LimitHarm, LimitMean, limits_of, show
from IncrementalSegLib.cli.interrupt import Interrupt
from IncrementalSegLib.cli.output import (
    AcceptGrid,
    AsJson,
    CaseNames,
    DeviceName,
    ModelPath,
    Strict,
    number,
    print_json,
    print_table,
    progress_bar,
    say,
)  # fmt: skip
from IncrementalSegLib.engine.progress import Stop, duration
from IncrementalSegLib.store.unfinished import Unfinished

if TYPE_CHECKING:
    from IncrementalSegLib.engine.step.result import StepResult


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


class Accept(StrEnum):
    """What decides whether the new version becomes current."""

    gate = "gate"
    always = "always"
    never = "never"


class Normalisation(StrEnum):
    """How intensities are normalised."""

    auto = "auto"
    zscore = "zscore"
    ct = "ct"


class Retention(StrEnum):
    """How scans that judge later steps are found again."""

    paths = "paths"
    copy = "copy"


_NORMALISED = {
    "zscore": "Intensities: normalised scan by scan (zscore), as for scans without a common unit, such as MR.",
    "ct": "Intensities: taken as Hounsfield units (ct), because the values are those of CT or --normalisation said so.",
}
_WITH_RESUME = {"model", "resume", "report", "device", "events", "as_json"}


def command(
    context: typer.Context,
    model: ModelPath,
    data: Annotated[
        Path | None, typer.Option(metavar="DATA", help="nnU-Net or Decathlon folder, or a manifest.")
    ] = None,
    structures: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help='What was looked for in these cases: "femur, tibia=LABEL IN DATA". Everything else is unknown there.',
        ),
    ] = None,
    cases: CaseNames = None,
    improve: Annotated[bool, typer.Option("--improve", help="The structures are known and shall be improved.")] = False,
    method: Annotated[
        str | None, typer.Option(metavar="M", help="How old structures are kept; see `incrementalseg methods`.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="k=v", help="Option of the method; may be repeated. `methods --json` lists them."),
    ] = None,
    network: Annotated[Network | None, typer.Option(help="Fixed at the first step; unet2d by default.")] = None,
    preset: Annotated[
        PresetName | None, typer.Option(help="Size and schedule; standard on a GPU, quick on a CPU by default.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, metavar="N", help="Optimiser steps at most.")] = None,
    exemplars: Annotated[Exemplars, typer.Option(help="Keep representative scans for later steps.")] = Exemplars.keep,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Decides everything random.")] = 0,
    accept: Annotated[
        Accept, typer.Option(help="When the new version becomes current: gate, unless an old structure was harmed.")
    ] = Accept.gate,
    retention: Annotated[
        Retention, typer.Option(help="How scans that judge later steps are found: by path and sha256, or a copy.")
    ] = Retention.paths,
    limit_harm: LimitHarm = 3.0,
    limit_mean: LimitMean = 1.0,
    normalisation: Annotated[
        Normalisation,
        typer.Option(help="Fixed at the first step: zscore, scan by scan; ct, a window of Hounsfield units; auto."),
    ] = Normalisation.auto,
    report: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write a page on what was kept, from the second step on.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the step that was interrupted.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Give up the step that was interrupted.")] = False,
    strict: Strict = False,
    accept_grid: AcceptGrid = False,
    device: DeviceName = "auto",
    events: Annotated[bool, typer.Option("--events", help="Print one event per line, as a worker does.")] = False,
    as_json: AsJson = False,
) -> None:
    """Teach MODEL new structures from labelled scans; the first step creates it."""
    with event_lines("learn", model) if events else progress_bar("learn") as progress, _unfinished_is_said(model):
        if resume:
            _refuse_other_options(context)
        elif data is None or structures is None:
            raise typer.BadParameter("--data and --structures are needed")
        from IncrementalSegLib.engine import learn as engine

        on_look = progress.look if isinstance(progress, EventLines) else None
        if data is None or structures is None:
            result = engine.resume(model, report=report, device=device, progress=progress, on_look=on_look)
        else:
            result = engine.learn(
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
                accept=accept.value,
                retention=retention.value,
                limits=limits_of(limit_harm, limit_mean),
                normalisation=normalisation.value,
                report=report,
                restart=restart,
                strict=strict,
                accept_grid=accept_grid,
                device=device,
                progress=progress,
                on_look=on_look,
            )
    if events:
        print_finished("learn", result.to_json())
    elif as_json:
        print_json(result.to_json())
    else:
        _show(result, model, report)
    if result.record.held_back_by and not result.record.accepted:
        raise typer.Exit(HELD_BACK)


def _refuse_other_options(context: typer.Context) -> None:
    """Refuse what a step that goes on would pass over in silence."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if name not in _WITH_RESUME and source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(
                f"--resume goes on with what was asked before; --{name.replace('_', '-')} cannot be given again"
            )


def _show(result: StepResult, model: Path, asked: Path | None = None) -> None:
    """Print what a step made as tables and sentences; ``asked``: where a page was asked for."""
    from IncrementalSegLib.evaluation.verdicts import HARDLY_LEARNED

    record, curve = result.record, result.curve
    made = result.to_json()
    scores = made["validation"]
    rows = [(name, number(score["validation_dice"]), score["cases"]) for name, score in scores.items()]
    print_table("Dice on the cases set aside", ("structure", "Dice", "cases"), rows)
    early = f", ended early after {curve.steps} of {curve.planned}" if curve.steps < curve.planned else ""
    say(
        f"Version {record.number} of {model} knows {', '.join(record.structures.names)} "
        f"({record.step['method']}, best weights from step {curve.best_step}{early or f' of {curve.steps}'}, "
        f"{duration(record.seconds)})."
    )
    if record.parent is None:
        say(_NORMALISED[record.preprocessing["normalisation"]])
    if why := record.step.get("why"):
        say(f"Method: {record.step['method']}. {' '.join(why)}")
    known = {name: score["validation_dice"] for name, score in scores.items() if score["validation_dice"] is not None}
    if weak := [name for name, dice in known.items() if dice < HARDLY_LEARNED]:
        say(
            f"Hardly learned: {', '.join(weak)}. The gate judges older structures only. More --steps, or --improve "
            "once the version is in use, may help; `incrementalseg check` looks at the labels."
        )
        if all(scores[name]["cases"] == 1 for name in weak):
            say("One case says so, and it may be unusual: `incrementalseg evaluate` scores others.")
    if record.step["set_aside"]:
        say(f"Set aside: {', '.join(entry['case'] for entry in record.step['set_aside'])}.")
    if made["unjudged"]:
        say(f"No scan set aside shows {', '.join(made['unjudged'])}: no later step can measure whether it is kept.")
    if result.report.rows:
        show(result.report, f"What became of the older structures since version {record.parent}")
    if result.page is not None:
        say(f"Report: {result.page}")
    elif asked is not None and record.parent is None:
        say("No report: a first step has no older structure. `incrementalseg evaluate --report` shows the new one.")
    if not record.accepted:
        say(
            f"Version {record.number} is a candidate; the version in use has not changed. To use it all the same: "
            f"incrementalseg accept {model} {record.number}"
        )
    elif result.report.held_back_by:
        say(f"Version {record.number} is in use all the same, because of --accept always.")


@contextmanager
def _unfinished_is_said(model: Path) -> Iterator[None]:
    """Let the step write a checkpoint at Ctrl+C, and tell that it can go on."""
    try:
        with Interrupt.patiently():
            yield
    except (KeyboardInterrupt, Stop):
        if Unfinished(model).exists:
            say(f"The step is kept: incrementalseg learn {model} --resume", error=True)
        raise KeyboardInterrupt from None


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

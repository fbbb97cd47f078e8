"""``incrementalseg learn``: teach a model new structures."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from IncrementalSegLib.cli.events import EventLines, event_lines, print_finished
from IncrementalSegLib.cli.gate import HELD_BACK, show
from IncrementalSegLib.cli.interrupt import Interrupt
from IncrementalSegLib.cli.options import takes
from IncrementalSegLib.cli.output import HELP, AsJson, ModelPath, number, print_json, print_table, progress_bar, say
from IncrementalSegLib.cli.text_source import text_source
from IncrementalSegLib.cli.words import devices_of, spelled
from IncrementalSegLib.engine.parallel.launch import run_together, speaks, started
from IncrementalSegLib.engine.settings import LearnCall, ResumeCall
from IncrementalSegLib.errors import CommandRef, DeviceError, Hint
from IncrementalSegLib.options import fields_of
from IncrementalSegLib.progress import Progress, Stop, duration, silent
from IncrementalSegLib.store.unfinished import Unfinished

if TYPE_CHECKING:
    from IncrementalSegLib.engine.step.result import StepResult
    from IncrementalSegLib.store.record import VersionRecord


_NORMALISED = {
    "zscore": "Intensities: normalised scan by scan (zscore), as for scans without a common unit, such as MR.",
    "ct": "Intensities: taken as Hounsfield units (ct), because the values are those of CT or --normalisation said so.",
}
_WITH_RESUME = {"resume", "events", "as_json", *fields_of(ResumeCall)} - {"data"}


@takes(LearnCall, but=("previews",))
def command(
    context: typer.Context,
    model: ModelPath,
    data: Annotated[list[Path] | None, typer.Option(metavar="DATA", help=HELP["data"])] = None,
    structures: Annotated[list[str] | None, typer.Option(metavar="NAMES", help=HELP["structures"])] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the interrupted step.")] = False,
    events: Annotated[bool, typer.Option("--events", help="Print one event per line, as a worker does.")] = False,
    as_json: AsJson = False,
    **settings: Any,
) -> None:
    """Teach MODEL new structures from labelled scans; the first step creates it."""
    if settings["devices"] > 1 and settings["nodes"] == 1 and started() is None:
        raise typer.Exit(_together(model, settings["devices"]))
    with _progress(model, events) as progress, _unfinished_is_said(model):
        settings |= {
            "progress": progress,
            "on_validation": progress.on_validation if isinstance(progress, EventLines) else None,
        }
        if resume:
            _refuse_other_options(context)
            from IncrementalSegLib.engine.learn import resume as go_on

            result = go_on(model, **{name: settings[name] for name in settings if name in fields_of(ResumeCall)})
        elif not data or not structures:
            raise typer.BadParameter("--data and --structures are needed")
        else:
            from IncrementalSegLib.engine.learn import learn

            result = learn(model, data, structures, **settings)
    if not speaks():
        return
    if events:
        print_finished("learn", result.to_json())
    elif as_json:
        print_json(result.to_json())
    else:
        _show(result, model, settings.get("report"))
    if result.record.held_back_by and not result.record.accepted:
        raise typer.Exit(HELD_BACK)


def _progress(model: Path, events: bool) -> AbstractContextManager[Progress]:
    """Return a context in which progress is shown, by one process alone."""
    if not speaks():
        return nullcontext(silent)
    return event_lines("learn", model) if events else progress_bar("learn")


def _together(model: Path, count: int) -> int:
    """Run this command in a process for each device, and return the exit status."""
    try:
        return run_together(sys.argv[1:], count)
    except DeviceError as error:
        unfinished = Unfinished(model)
        again = CommandRef("resume", {"model": str(model)})
        todo = Hint("There is no checkpoint. Remove the cause, and run the command again.")
        if unfinished.exists:
            todo = Hint(unfinished.kept(), " ", again, " continues the step, on any number of devices.")
        raise DeviceError(error.what, error.why, todo) from None


def _refuse_other_options(context: typer.Context) -> None:
    """Refuse options that a resumed step would silently ignore."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if name not in _WITH_RESUME and source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(
                f"--resume continues with the earlier options; --{name.replace('_', '-')} cannot be given again"
            )


def _show(result: StepResult, model: Path, asked: Path | None = None) -> None:
    """Print what a step made as tables and sentences; ``asked``: where a page was asked for."""
    record, curve = result.record, result.curve
    made = result.to_json()
    scores = made["validation"]
    rows = [(name, number(score["validation_dice"]), score["cases"]) for name, score in scores.items()]
    print_table("Dice on the held-out cases, resampled to the model's voxel size", ("structure", "Dice", "cases"), rows)
    early = f", ended early after {curve.steps} of {curve.planned}" if curve.steps < curve.planned else ""
    weights = f"weights of optimiser step {curve.best_step}{early or f' of {curve.steps}'}"
    how = ", ".join(filter(None, (record.step["method"], weights, devices_of(record.step), duration(record.seconds))))
    say(f"Version {record.number} of {model} knows {', '.join(record.structures.names)} ({how}).")
    _show_choices(record)
    judging = "Judging older structures" + (" in later steps" if result.report.guaranteed else "")
    for what, cases in zip(("Held out", judging), _judging(record), strict=True):
        if cases:
            say(f"{what}: {', '.join(cases)}.")
    if made["unjudged"]:
        say(f"No held-out scan shows {', '.join(made['unjudged'])}: no later step can measure whether it is kept.")
    if result.report.rows:
        show(result.report, f"Structures of version {record.parent}, before and after")
    if result.page is not None:
        say(f"Report: {result.page}")
    elif asked is not None and record.parent is None:
        say("No report: a first step has no older structure. `incrementalseg evaluate --report` shows the new one.")
    if not record.accepted:
        say(
            f"Version {record.number} is a candidate; the version in use has not changed. To use it anyway: "
            f"{spelled(CommandRef('accept', {'model': str(model), 'version': record.number}))}"
        )
    elif result.report.held_back_by:
        say(f"Version {record.number} is in use anyway, because of --accept always.")
    if weak := made["hardly_learned"]:
        one = " on one case, which may be unusual" if all(scores[name]["cases"] == 1 for name in weak) else ""
        values = ", ".join(f"{name} (Dice {scores[name]['validation_dice']:.2f})" for name in weak)
        used = f"Version {record.number} is in use all the same: the gate judges older structures only. "
        say(
            f"Hardly learned: {values}{one}. {used if record.accepted else ''}More --steps, or --improve once the "
            "version is in use, may help; `incrementalseg check` looks at the labels."
        )


def _judging(record: VersionRecord) -> tuple[list[str], list[str]]:
    """Return the cases that were held out of the data of a step, and those of --judge."""
    found: tuple[list[str], list[str]] = [], []
    for entry in record.step["held_out"]:
        found[not set(entry["looked_for"]) & set(record.step["taught"])].append(entry["case"])
    return found


def _show_choices(record: VersionRecord) -> None:
    """Print what the step has chosen by itself."""
    if record.parent is None:
        say(_NORMALISED[record.preprocessing["normalisation"]])
    if source := text_source(record):
        say(source)
    if why := record.step.get("why"):
        say(f"Method: {record.step['method']}. {' '.join(why)}")


@contextmanager
def _unfinished_is_said(model: Path) -> Iterator[None]:
    """Let the step write a checkpoint at Ctrl+C, and report that it can be resumed."""
    try:
        with Interrupt.patiently():
            yield
    except (KeyboardInterrupt, Stop):
        unfinished = Unfinished(model)
        if unfinished.exists:
            again = spelled(CommandRef("resume", {"model": str(model)}))
            say(f"The step is paused. {unfinished.kept()} {again} continues it.", error=True)
        raise KeyboardInterrupt from None

"""``incrementalseg advise``: which method suits a step."""

from __future__ import annotations

import shlex
from typing import Annotated, Any

import typer

from IncrementalSegLib.cli.options import takes, words
from IncrementalSegLib.cli.output import AsJson, DataPath, ModelPath, print_json, print_table, progress_bar, say
from IncrementalSegLib.engine.settings import AdviseCall


@takes(AdviseCall)
def command(
    model: ModelPath,
    data: DataPath,
    structures: Annotated[
        str | None, typer.Option(metavar="NAMES", help="What would be taught; all cases are looked at by default.")
    ] = None,
    as_json: AsJson = False,
    **settings: Any,
) -> None:
    """Recommend a method for teaching MODEL from these scans, with the reasons; nothing is written."""
    from IncrementalSegLib.engine.planning.advice import advise

    with progress_bar("advise") as progress:
        advice = advise(model, data, structures, **settings, progress=progress)
    found = advice.to_json()
    if as_json:
        print_json(found)
        return
    if advice.structures:
        looks = ("features", "intensity", "spacing")
        rows = [
            (name, *(_shown(item[look]) for look in looks), item["exemplars"])
            for name, item in found["structures"].items()
        ]
        print_table(f"How far {advice.scans} scans are from those that taught", ("structure", *looks, "kept"), rows)
    say(f"Method: {advice.method or 'none; teach a model of its own'}")
    for text in (*advice.reasons, *(f"Note: {caution}" for caution in advice.cautions)):
        say(text)
    if advice.method:
        asked = ["--data", str(data), "--structures", structures or "NAMES", "--method", advice.method]
        asked += words(AdviseCall, settings)
        say(f"Next: {shlex.join(['incrementalseg', 'learn', str(model), *asked])}")


def _shown(number: dict[str, object] | None) -> str | None:
    return None if number is None else f"{number['distance']:.1f} {number['word']}"

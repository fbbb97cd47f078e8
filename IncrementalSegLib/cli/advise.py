"""``incrementalseg advise``: which method suits a step."""

from __future__ import annotations

import shlex
from typing import Annotated, Any

import typer

from IncrementalSegLib.cli.options import takes, words
from IncrementalSegLib.cli.output import AsJson, DataPath, ModelPath, print_json, print_table, progress_bar, say
from IncrementalSegLib.engine.settings import AdviseCall

_COLUMNS = {"features": "appearance", "intensity": "stored values", "spacing": "voxel size"}
"""Distance -> its heading."""


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
        rows = [
            (name, *(_shown(item[look]) for look in _COLUMNS), item["exemplars"])
            for name, item in found["structures"].items()
        ]
        print_table(
            f"{advice.scans} scans compared with the training scans",
            ("structure", *_COLUMNS.values(), "exemplars"),
            rows,
        )
    say(f"Method: {advice.method or 'none; teach another model'}")
    for text in (*advice.reasons, *(f"Note: {caution}" for caution in advice.cautions)):
        say(text)
    if advice.method and not (advice.known and advice.new):
        asked = ["--data", str(data), "--structures", structures or "NAMES", "--method", advice.method]
        asked += ["--improve"] if advice.known else []
        asked += words(AdviseCall, settings)
        say(f"Next: {shlex.join(['incrementalseg', 'learn', str(model), *asked])}")


def _shown(number: dict[str, object] | None) -> str | None:
    return None if number is None else f"{number['word']} ({number['distance']:.1f})"

"""``incrementalseg privacy``: list the patient data in a model, strip it, or forget one case."""

from __future__ import annotations

from typing import Annotated

import typer

from IncrementalSegLib.cli.output import AsJson, ModelPath, print_json, print_table, say
from IncrementalSegLib.cli.words import spelled
from IncrementalSegLib.errors import said
from IncrementalSegLib.types import Json


def command(
    model: ModelPath,
    version: Annotated[int | None, typer.Option(metavar="N", help="Only this version; all by default.")] = None,
    strip: Annotated[
        bool, typer.Option("--strip", help="Delete all exemplars and copied scans, in every version, for good.")
    ] = False,
    forget: Annotated[
        str | None, typer.Option(metavar="CASE", help="Delete all of one case or patient, in every version, for good.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List what patient-derived data MODEL holds, delete the pieces of scans, or forget a case."""
    if sum((strip, forget is not None, version is not None)) > 1:
        raise typer.BadParameter("give one of --version, --strip and --forget; the last two concern every version")
    from IncrementalSegLib.engine.privacy import ledger as privacy

    if strip:
        done, show = privacy.strip(model), _show_stripped
    elif forget is not None:
        done, show = privacy.forget(model, forget), _show_forgotten
    else:
        done, show = privacy.ledger(model, version), _show_ledger
    if as_json:
        print_json(done)
    else:
        show(done)


def _show_ledger(done: Json) -> None:
    rows = []
    for held in done["versions"]:
        pieces, copies = held["exemplars"], held["copied_scans"]
        rows.append(
            (
                held["version"],
                f"{pieces['count']} of {len(pieces['cases'])} cases, {pieces['bytes'] / 1e6:.1f} MB",
                f"{copies['count']}, {copies['bytes'] / 1e6:.1f} MB",
                len(held["cases"]),
                len(held["paths"]),
            )
        )
    columns = ("version", "exemplars (pieces of scans)", "copied scans", "named cases", "paths")
    print_table(f"{done['model']}: patient data", columns, rows)
    means: dict[tuple[str, int, int, str], list[str]] = {}
    for held in done["versions"]:
        for item in held["prototypes"]:
            personal = "nearly personal" if item["nearly_personal"] else ""
            mean = (item["structure"], item["voxels"], item["patients"], personal)
            means.setdefault(mean, []).append(str(held["version"]))
    if means:
        lines = [(*mean[:3], ", ".join(numbers), mean[3]) for mean, numbers in sorted(means.items())]
        print_table("Mean features", ("structure", "voxels", "patients", "versions", ""), lines)
    from IncrementalSegLib.engine.history import FORGOTTEN

    cases = sorted({case for held in done["versions"] for case in held["cases"]})
    gone = FORGOTTEN in cases
    named = ", ".join(case for case in cases if case != FORGOTTEN) or "none"
    say(f"Cases: {named}.{' Others were forgotten; their names are gone.' if gone else ''}")
    say("All of them influenced the weights. --json lists them by version.")
    if done["open_to_others"]:
        say("Other users of this computer may look into the folder; chmod -R go= MODEL makes it yours alone.")
    if done["unfinished_step"]:
        say("A step is unfinished; its checkpoint holds data of its own.")
    if done["left_over"]:
        say("An earlier deletion was interrupted and left files behind; do it again to finish it.")


def _show_stripped(done: Json) -> None:
    changed = ", ".join(map(str, done["versions"])) or "none; there was nothing to delete"
    say(f"Deleted {done['exemplars']} exemplars and {done['copied_scans']} copied scans. Changed versions: {changed}.")
    for cost in done["costs"]:
        say(said(cost, spelled))
    say("Packages and backups made before are untouched.")


def _show_forgotten(done: Json) -> None:
    rows = [
        (row["version"], ", ".join(row["structures"]) or None, row["exemplars"], row["copied_scans"])
        for row in done["versions"]
    ]
    columns = ("version", "structures trained with it", "exemplars deleted", "copies deleted")
    print_table(f"{done['forgotten']}: forgotten, scans: {done['scans']}", columns, rows)
    if any(row["structures"] for row in done["versions"]):
        say("Weights cannot forget: teach these structures to a new model from the other cases, and delete this one.")
        say(
            "Their mean features were deleted too; incrementalseg exemplars MODEL remember makes them again "
            "from the other cases."
        )
    say(f"Looked through {done['files']} files of the model: no name of {done['forgotten']} is left.")
    for place in done["words"]:
        say(f"The name also occurs as a word that is kept: {place}.")
    say("The sha256 of the files stays, so that no score is computed on a training scan. Packages and backups made "
        "before are untouched.")  # fmt: skip

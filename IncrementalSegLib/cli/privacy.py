"""``incrementalseg privacy``: list the patient data in a model, strip it, or forget one case."""

from __future__ import annotations

from typing import Annotated

import typer

from IncrementalSegLib.cli.output import AsJson, ModelPath, print_json, print_table, say
from IncrementalSegLib.cli.words import spelled
from IncrementalSegLib.errors import phrased
from IncrementalSegLib.types import Json

_COUNTED = ("exemplars", "copied_scans", "embeddings")
"""Pieces of a person in a version."""


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
    columns = ("version", "exemplars (pieces of scans)", "copied scans", "named cases", "stored file paths")
    print_table(f"{done['model']}: patient data", columns, rows)
    means: dict[tuple[str, int, int, str], list[str]] = {}
    for held in done["versions"]:
        for item in held["prototypes"]:
            few = "few patients: describes each of them" if item["few_patients"] else ""
            mean = (item["structure"], item["voxels"], item["patients"], few)
            means.setdefault(mean, []).append(str(held["version"]))
    if means:
        lines = [(*mean[:3], ", ".join(numbers), mean[3]) for mean, numbers in sorted(means.items())]
        print_table(
            "Prototypes: mean features of each structure", ("structure", "voxels", "patients", "versions", ""), lines
        )
    described = {str(held["version"]): held["embeddings"] for held in done["versions"] if held["embeddings"]}
    if described:
        from IncrementalSegLib.networks.scan_encoder import SIZE

        most = max(described.values())
        described_by = f"{'scan is' if most == 1 else 'scans are'} described by {2 * SIZE} numbers each"
        say(f"Embeddings: {most} {described_by}, which choose the kernel masks (versions {', '.join(described)}).")
    cases = sorted({case for held in done["versions"] for case in held["cases"]})
    gone = max((held["forgotten_scans"] for held in done["versions"]), default=0)
    say(f"Named cases: {', '.join(cases) or 'none'}. --json lists them by version.")
    if gone:
        say(f"Forgotten scans: {gone}. Their names were deleted; a checksum of each file remains.")
    say("The weights of a version were computed from all scans of its steps, forgotten ones included.")
    if done["open_to_others"]:
        say("Other users of this computer may look into the folder; chmod -R go= MODEL makes it yours alone.")
    if done["unfinished_step"]:
        say("A step is unfinished; its checkpoint holds further patient data.")
    if done["corrections"]:
        say("Corrections are neither kept nor discarded; they hold parts of scans.")
    if done["left_over"]:
        say("An earlier deletion was interrupted and left files behind. Repeat it to finish.")


def _show_stripped(done: Json) -> None:
    changed = ", ".join(map(str, done["versions"])) or "none; there was nothing to delete"
    say(f"Deleted {done['exemplars']} exemplars and {done['copied_scans']} copied scans. Changed versions: {changed}.")
    for cost in done["costs"]:
        say(phrased(cost, spelled))
    say("Packages and backups made before are untouched.")


def _show_forgotten(done: Json) -> None:
    rows = [
        (row["version"], ", ".join(row["structures"]) or None, *(row[kind] for kind in _COUNTED))
        for row in done["versions"]
    ]
    scans = f"{done['scans']} scan{'' if done['scans'] == 1 else 's'}"
    columns = ("version", "structures trained with it", *(f"{kind.replace('_', ' ')} deleted" for kind in _COUNTED))
    print_table(f"Deleted from the model: {done['forgotten']} ({scans})", columns, rows)
    taught = dict.fromkeys(name for row in done["versions"] for name in row["structures"])
    if taught:
        names = ", ".join(taught)
        say(
            f"Also deleted: the mean features and the description of the training scans of {names}, which cannot be "
            "separated from this case. incrementalseg exemplars MODEL remember computes the mean features again from "
            "the other cases."
        )
        say(
            "The weights are unchanged and still depend on the case. To remove its influence, teach "
            f"{names} to a new model from the other cases and delete this model."
        )
    say(f"Searched {done['files']} files of the model: the name {done['forgotten']} no longer occurs.")
    for place in done["words"]:
        say(f"Exception: a word or a name of a structure with the same text: {place}.")
    say(
        "The checksum (sha256) of each scan remains, so that the model is not tested on its training scans. Packages "
        "and backups made before are unchanged."
    )

"""``incrementalseg versions``: the history of a model."""

from __future__ import annotations

from IncrementalSegLib.cli.origin import origin_lines
from IncrementalSegLib.cli.output import AsJson, ModelPath, print_json, print_table, say
from IncrementalSegLib.cli.words import STATUS, devices_of
from IncrementalSegLib.types import Json


def command(model: ModelPath, as_json: AsJson = False) -> None:
    """List the versions of MODEL."""
    from IncrementalSegLib.engine.quality import list_versions
    from IncrementalSegLib.store.versions import open_model

    found = list_versions(open_model(model))
    if as_json:
        print_json(found)
        return
    columns = ("version", "status", "from", "made (UTC)", "by", "structures")
    print_table(found["model"], columns, map(_cells, found["versions"]))
    for line in origin_lines(found["origin"]) if found["origin"] else ():
        say(line)
    for version in found["versions"]:
        doubts = {"harmed": "held_back_by", "unsure": "unsure", "hardly learned": "hardly_learned"}
        if said := [f"{word}: {', '.join(version[key])}" for word, key in doubts.items() if version[key]]:
            say(f"Version {version['number']}, {'; '.join(said)}.")


def _cells(version: Json) -> tuple[object, ...]:
    step = version["step"]
    return (
        version["number"],
        STATUS[version["status"]],
        version["parent"],
        version["created"][:16].replace("T", " "),
        step.get("action") or " ".join(filter(None, (step.get("method"), devices_of(step)))),
        ", ".join(item["name"] for item in version["structures"]),
    )

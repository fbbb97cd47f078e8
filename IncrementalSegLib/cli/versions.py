"""``incrementalseg versions``: the history of a model."""

from __future__ import annotations

from IncrementalSegLib.cli.output import AsJson, ModelPath, print_json, print_table


def command(model: ModelPath, as_json: AsJson = False) -> None:
    """List the versions of MODEL."""
    from IncrementalSegLib.store.versions import open_model

    folder = open_model(model)
    records = [folder.record(number) for number in folder.numbers()]
    if as_json:
        versions = [record.to_json() | {"status": folder.status(record.number)} for record in records]
        print_json({"model": folder.name, "current": folder.current, "versions": versions})
        return
    rows = []
    for record in records:
        what = record.step.get("action") or record.step.get("method")
        names = ", ".join(record.structures.names)
        made = record.created[:16].replace("T", " ")
        rows.append((record.number, folder.status(record.number), record.parent, made, what, names))
    print_table(folder.name, ("version", "status", "from", "made (UTC)", "by", "structures"), rows)

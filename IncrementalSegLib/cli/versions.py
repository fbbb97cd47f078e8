"""``incrementalseg versions``: the history of a model."""

from __future__ import annotations

from IncrementalSegLib.cli.output import AsJson, ModelPath, print_json, print_table


def command(model: ModelPath, as_json: AsJson = False) -> None:
    """List the versions of MODEL."""
    from IncrementalSegLib.store.versions import open_model

    folder = open_model(model)
    records = [folder.record(number) for number in folder.numbers()]
    current = folder.current
    if as_json:
        print_json({"model": folder.name, "current": current, "versions": [record.to_json() for record in records]})
        return
    rows = []
    for record in records:
        what = record.step.get("action") or record.step.get("method")
        names = ", ".join(record.structures.names)
        mark = "*" if record.number == current else ""
        rows.append((mark, record.number, record.parent, record.created, record.kind, what, names))
    print_table(f"{folder.name} (* in use)", ("", "version", "from", "made", "kind", "by", "structures"), rows)

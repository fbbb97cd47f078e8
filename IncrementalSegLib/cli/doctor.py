"""``incrementalseg doctor``: what this machine can do, and what a report of a fault needs."""

from __future__ import annotations

from IncrementalSegLib.cli.output import AsJson, print_json, print_table, say


def command(as_json: AsJson = False) -> None:
    """Look at device, versions and disk, and compute one convolution in two precisions."""
    from IncrementalSegLib.engine.doctor import examine

    found = examine()
    if as_json:
        print_json(found)
        return
    libraries = ", ".join(f"{name} {version}" for name, version in found["libraries"].items() if version)
    rows = [
        (key.replace("_", " "), ", ".join(value) if isinstance(value, list) else value)
        for key, value in found.items()
        if key not in ("libraries", "broken", "warnings")
    ]
    print_table("This machine", ("", ""), [*rows, ("libraries", libraries)])
    for text in found["warnings"]:
        say(f"Note: {text}")

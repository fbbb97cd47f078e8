"""``incrementalseg methods``: the ways of keeping old structures, with their options."""

from __future__ import annotations

from IncrementalSegLib.cli.output import AsJson, print_json, print_table

_FAMILIES = {
    "heads": "Head family (output: heads): structures may overlap",
    "classes": "Class family (output: classes): at most one structure per voxel",
}
"""Form of output -> heading of its methods."""


def command(as_json: AsJson = False) -> None:
    """List the methods with what they need and where they come from."""
    from IncrementalSegLib.engine.forms import forms

    listing = forms()
    if as_json:
        print_json(listing)
        return
    for output in sorted({item["output"] for item in listing["methods"]}, reverse=True):
        rows = [
            (item["name"], f"{item['summary']} Needs: {', '.join(item['needs']) or 'nothing'}. {item['source']}.")
            for item in listing["methods"]
            if item["output"] == output
        ]
        print_table(_FAMILIES.get(output, output), ("method", "what it does, needs, source"), rows)
    if listing["broken"]:
        print_table("Not loaded", ("file", "reason"), listing["broken"].items())

"""``incrementalseg methods``: the ways of keeping old structures, with their options."""

from __future__ import annotations

from IncrementalSegLib.cli.output import AsJson, print_json, print_table


def command(as_json: AsJson = False) -> None:
    """List the methods with what they need and where they come from."""
    from IncrementalSegLib.strategy.catalogue import catalogue

    listing = catalogue()
    if as_json:
        print_json(listing)
        return
    rows = [
        (item["name"], item["output"], ", ".join(item["needs"]) or None, item["summary"], item["source"])
        for item in listing["methods"]
    ]
    print_table("Methods", ("method", "output", "needs", "what it does", "source"), rows)
    if listing["broken"]:
        print_table("Not loaded", ("file", "reason"), listing["broken"].items())

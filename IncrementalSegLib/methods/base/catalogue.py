"""The catalogue of methods as data, for the command line, the panel's form and the documentation."""

from __future__ import annotations

import inspect

from IncrementalSegLib.registry import discover, find, names
from IncrementalSegLib.types import Json


def catalogue() -> Json:
    """Return every registered method with its needs, output, source and the JSON schema of its options.

    Returns:
        ``{"methods": [{"name", "summary", "source", "output", "needs", "retains", "guarantees", "schema"}],
        "broken": {file: reason}}``.
    """
    listing = []
    for name in names("method"):
        kind = find("method", name)
        listing.append(
            {
                "name": name,
                "summary": (inspect.getdoc(kind) or "").partition("\n")[0],
                "source": kind.source,
                "output": kind.output,
                "needs": sorted(kind.needs),
                "retains": kind.retains,
                "guarantees": kind.guarantees,
                "schema": kind.Options.model_json_schema(),
            }
        )
    return {"methods": listing, "broken": discover("method")}

"""The origin of an adopted model, in words."""

from __future__ import annotations

from IncrementalSegLib.types import Json


def origin_lines(origin: Json) -> list[str]:
    """Return what a person should know of the origin that an adopted version records."""
    folds = origin["folds"]
    count = len(folds)
    said = f"the mean of {count} folds ({', '.join(folds)})" if count > 1 else f"fold {folds[0]}"
    lines = [f"Adopted from {origin['folder']}: {origin['program']}, {origin['configuration']}, {said}."]
    if count > 1:
        lines.append(f"As an ensemble it takes {count} times as long as one of them.")
    if origin.get("license"):
        lines.append(f"Terms of use: {origin['license']}")
    return lines

"""The origin of an adopted model, in words."""

from __future__ import annotations

from IncrementalSegLib.types import Json


def origin_lines(origin: Json) -> list[str]:
    """Return what a person should know of the origin that an adopted version records."""
    folds = origin.get("folds", [])  # a bundle has none
    said = [f"Adopted from {origin['folder']}: {origin['program']}", origin["configuration"]]
    if folds:
        said.append(f"the mean of {len(folds)} folds ({', '.join(folds)})" if len(folds) > 1 else f"fold {folds[0]}")
    lines = [f"{', '.join(said)}."]
    if len(folds) > 1:
        lines.append(f"As an ensemble it takes {len(folds)} times as long as one of them.")
    if origin.get("license"):
        lines.append(f"Terms of use: {origin['license']}")
    return lines

"""The result of a segmentation, read from the worker's answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from IncrementalSegLib.types import Json
from IncrementalSegPanel.documents.Heads import KnownStructure


@dataclass(frozen=True)
class Outcome:
    """One scan, segmented and shown.

    Attributes:
        volume: The scan.
        segmentation: The segmentation node.
        scan: The file that the worker read.
        folder: Where the files of this run lie.
        seconds: How long it took.
        found: Structures that are in the scan, with their volumes in ml.
        missing: Structures that were looked for and not found.
        uncertainty: File of the map of uncertainty, or ``None``.
        warnings: What a person should know besides what is missing.
    """

    volume: Any
    segmentation: Any
    scan: Path
    folder: Path
    seconds: float
    found: tuple[tuple[KnownStructure, float], ...]
    missing: tuple[KnownStructure, ...]
    uncertainty: Path | None
    warnings: tuple[str, ...]

    @classmethod
    def of(
        cls,
        result: Json,
        heads: Sequence[KnownStructure],
        volume: Any,
        segmentation: Any,
        scan: Path,
        folder: Path,
        seconds: float,
    ) -> Outcome:
        """Read what the verb ``segment`` answered for one scan.

        Args:
            result: The answer.
            heads: What was looked for.
            volume: The scan.
            segmentation: The segmentation node.
            scan: The file that the worker read.
            folder: Where the files of this run lie.
            seconds: How long it took.
        """
        millilitres = {head: result["structures"][head.name]["ml"] for head in heads}
        missing = tuple(head for head, ml in millilitres.items() if not ml)
        said = {f"{scan}: {head.name} was not found." for scan in result["scans"] for head in missing}
        return cls(
            volume=volume,
            segmentation=segmentation,
            scan=scan,
            folder=folder,
            seconds=seconds,
            found=tuple((head, ml) for head, ml in millilitres.items() if ml),
            missing=missing,
            uncertainty=next((Path(path) for path in result["outputs"][1:]), None),
            warnings=tuple(text for text in result["warnings"] if text not in said),
        )

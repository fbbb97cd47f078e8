"""An open model: the version in use, and what waits for a decision."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from IncrementalSegLib.errors import IncrementalSegError
from IncrementalSegLib.store.summary import read_summary, read_unfinished
from IncrementalSegLib.structures import Structure, StructureList
from IncrementalSegLib.types import Json
from IncrementalSegPanel.documents.Heads import KnownStructure, headsOf


@dataclass(frozen=True)
class UnfinishedStep:
    """A step that can be resumed.

    Attributes:
        structures: Names of what it teaches.
        fraction: Share of the learning that is done, 0..1.
    """

    structures: tuple[str, ...]
    fraction: float

    @classmethod
    def of(cls, found: Json | None) -> UnfinishedStep | None:
        """Read what a summary says of it; ``None`` where no step is unfinished."""
        return None if found is None else cls(tuple(found["structures"]), found["fraction"])

    @classmethod
    def read(cls, folder: Path) -> UnfinishedStep | None:
        """Return the step of a model that may have no version yet; ``None`` too where its files are damaged."""
        try:
            return cls.of(read_unfinished(folder))
        except IncrementalSegError:  # reported when the step is resumed
            return None


@dataclass(frozen=True)
class OpenModel:
    """The version of a model that is in use.

    Attributes:
        name: Of the model.
        version: Number of the version.
        created: When the version was made, UTC, ISO 8601.
        output: Form of the network's output.
        outputs: Forms of output of the methods that fit the model.
        heads: The structures, in the order in which they were learned.
        structures: The same as the library knows them.
        candidates: Numbers of the versions that wait for a decision.
        unfinished: The step that can be resumed, or ``None``.
        method: Name of the method that taught it last; empty while unknown.
        corrected: Names of the scans of a correction session that is neither kept nor discarded; empty without one.
    """

    name: str
    version: int
    created: str
    output: str
    outputs: tuple[str, ...]
    heads: tuple[KnownStructure, ...]
    structures: StructureList
    candidates: tuple[int, ...]
    unfinished: UnfinishedStep | None
    method: str = ""
    corrected: tuple[str, ...] = ()

    @classmethod
    def of(cls, summary: Json) -> OpenModel:
        """Read the summary of a model."""
        return cls(
            name=summary["name"],
            version=summary["version"],
            created=summary["created"],
            output=summary["output"],
            outputs=tuple(summary.get("outputs", (summary["output"],))),
            heads=tuple(headsOf(summary)),
            structures=StructureList(tuple(Structure.from_json(item) for item in summary["structures"])),
            candidates=tuple(summary["candidates"]),
            unfinished=UnfinishedStep.of(summary["unfinished"]),
            method=next((item["method"] for item in reversed(summary["structures"]) if item.get("method")), ""),
            corrected=tuple((summary.get("corrections") or {"scans": ()})["scans"]),
        )

    @classmethod
    def read(cls, folder: Path) -> OpenModel:
        """Read a model from its folder.

        Raises:
            IncrementalSegError: There is no model, it has no version in use, or a file is damaged.
            OSError: The folder cannot be read.
        """
        return cls.of(read_summary(folder))

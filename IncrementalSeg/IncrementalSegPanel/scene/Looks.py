"""The looks and the progress of segments, kept while Slicer's tables are late to hear of changes.

A table of segments (Segment Editor, Segmentations) writes an item back to its segment whenever the item changes. What
changes inside of a node's modification it hears of at the end, place by place: the first, as a place in the list, makes
it write the name, colour, code and status that it knew before over the new ones. So these are set once more afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import slicer
import vtk

_TERMINOLOGY = slicer.vtkSegment.GetTerminologyEntryTagName()
_STATUS = slicer.vtkSlicerSegmentationsModuleLogic.GetStatusTagName()


@dataclass(frozen=True)
class Look:
    """A segment's row in a table.

    Attributes:
        name: Its name.
        color: Red, green, blue, 0..1.
        terminology: Serialised terminology entry; ``None`` where it has none.
        status: How far a person is with it; ``None`` where nobody has begun.
    """

    name: str
    color: tuple[float, float, float]
    terminology: str | None
    status: str | None

    @classmethod
    def of(cls, segment: slicer.vtkSegment) -> Look:
        """Return how a segment looks."""
        return cls(segment.GetName(), segment.GetColor(), _tag(segment, _TERMINOLOGY), _tag(segment, _STATUS))

    def restore(self, segment: slicer.vtkSegment) -> None:
        """Make a segment look so; in an order in which no table undoes what came before."""
        segment.SetName(self.name)
        segment.SetColor(self.color)
        for key, value in ((_TERMINOLOGY, self.terminology), (_STATUS, self.status)):
            if value is not None:
                segment.SetTag(key, value)
            elif segment.HasTag(key):
                segment.RemoveTag(key)


def looksOf(segmentation: slicer.vtkSegmentation) -> dict[str, Look]:
    """Return how the segments of a segmentation look, by their ids."""
    return {found: Look.of(segmentation.GetSegment(found)) for found in segmentation.GetSegmentIDs()}


def restoreLooks(segmentation: slicer.vtkSegmentation, looks: dict[str, Look]) -> None:
    """Make segments look as they did; those that are gone are left out."""
    for found, look in looks.items():
        if (segment := segmentation.GetSegment(found)) is not None:
            look.restore(segment)


def _tag(segment: slicer.vtkSegment, key: str) -> str | None:
    value = vtk.reference("")
    return str(value) if segment.GetTag(key, value) else None

"""Show a slice in Slicer's own views; its scan is loaded where it is not in the scene."""

from __future__ import annotations

from IncrementalSegLib.errors import IncrementalSegError
from IncrementalSegPanel.documents.Pictures import SlicePlace
from IncrementalSegPanel.flows.Context import Context
from IncrementalSegPanel.Translation import _


def obstacleToJump(context: Context, place: SlicePlace | None) -> str:
    """Return why a slice cannot be shown; empty where it can."""
    if place is None:
        return _("The position of this slice was not stored.")
    if context.bridge.volumeOf(place.case) is None and (place.scan is None or not place.scan.is_file()):
        return _("The scan is neither in the scene nor where it was on the disk.")
    return ""


def jump(context: Context, place: SlicePlace) -> None:
    """Show a slice in all slice views."""
    try:
        volume = context.bridge.volumeOf(place.case)
        if volume is None:
            assert place.scan is not None, "ask obstacleToJump first"
            volume = context.bridge.openScan(place.scan)
    except IncrementalSegError as error:
        context.fail(error)
        return
    context.bridge.jumpTo(volume, place.ras)

"""Show a slice in Slicer's own views; its scan is loaded where it is not in the scene."""

from __future__ import annotations

from typing import TYPE_CHECKING

from IncrementalSegLib.errors import IncrementalSegError
from IncrementalSegPanel.documents.Pictures import Place
from IncrementalSegPanel.Texts import _

if TYPE_CHECKING:
    from IncrementalSegPanel.Session import Session


def obstacleToJump(session: Session, place: Place | None) -> str:
    """Return why a slice cannot be shown; empty where it can."""
    if place is None:
        return _("Where this slice lies was not kept.")
    if session.bridge.volumeOf(place.case) is None and (place.scan is None or not place.scan.is_file()):
        return _("The scan is neither in the scene nor where it was on the disk.")
    return ""


def jump(session: Session, place: Place) -> None:
    """Show a slice in all slice views."""
    try:
        volume = session.bridge.volumeOf(place.case) or session.bridge.openScan(place.scan)
    except IncrementalSegError as error:
        session.fail(error)
        return
    session.bridge.jumpTo(volume, place.ras)

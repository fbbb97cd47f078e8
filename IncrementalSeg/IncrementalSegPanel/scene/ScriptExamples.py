"""The examples that a script names: whole segmentations, or single segments of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import slicer

from IncrementalSegLib.errors import DataError
from IncrementalSegPanel.scene.Examples import Example
from IncrementalSegPanel.Translation import _


def chosenExamples(candidates: Sequence[Example], name: str, named: Any) -> tuple[list[Example], list[str]]:
    """Return the examples that a script means, and a sentence on each that is left out.

    Args:
        candidates: The segments of the scene.
        name: Of the structure.
        named: Segmentation nodes, of which the segments of that name are meant; pairs of such a node and the name of
            a segment; or examples out of ``candidates``. What a model made and nobody corrected is left out unless a
            pair names it.

    Raises:
        DataError: Something named is none of these, a segment is not there, or nothing is left.
    """
    chosen: dict[tuple[str, str], Example] = {}
    left: dict[tuple[str, str], Example] = {}
    for item in named if isinstance(named, Iterable) else [named]:
        pair = isinstance(item, tuple)
        for example in _meant(candidates, name, item):
            into = left if example.uncorrected and not pair else chosen
            into[example.segmentationId, example.segmentId] = example
    warnings = [
        _("{segment} of {scan} was left out: a model made it, and nobody corrected it.").format(
            segment=example.name, scan=example.volumeName
        )
        for key, example in left.items()
        if key not in chosen
    ]
    if not chosen:
        raise _nothing(name, warnings)
    return list(chosen.values()), warnings


def _meant(candidates: Sequence[Example], name: str, item: Any) -> list[Example]:
    """Return the segments that one item of the list means."""
    if isinstance(item, Example):
        return [item]
    node, segment = item if isinstance(item, tuple) and len(item) == 2 else (item, name)
    if not isinstance(node, slicer.vtkMRMLSegmentationNode) or not isinstance(segment, str):
        raise DataError(
            _("{value} is not an example.").format(value=repr(item)),
            _("An example is a segmentation node of the scene, or a pair of one and the name of a segment."),
            _("Name such nodes: teach({name}, [node, (node, segment)]).").format(name=repr(name)),
        )
    own = [example for example in candidates if example.segmentationId == node.GetID()]
    found = [example for example in own if example.name.casefold() == segment.casefold()]
    if isinstance(item, tuple) and not found:
        raise DataError(
            _("{node} has no segment called {segment}.").format(node=node.GetName(), segment=segment),
            _("Its segments: {names}.").format(names=", ".join(example.name for example in own) or _("none")),
            _("Name one of them, or rename it."),
        )
    return found


def _nothing(name: str, warnings: Sequence[str]) -> DataError:
    """Return the error where no example is left."""
    if warnings:
        return DataError(
            _("No example of {name} is left.").format(name=name),
            " ".join(warnings),
            _("Correct them in the Segment Editor, or name them one by one: (node, segment name)."),
        )
    return DataError(
        _("There is no example of {name}.").format(name=name),
        _("No segment called so is in what was named."),
        _("Name segmentation nodes that have one, or pairs (node, segment name)."),
    )

"""Corrections of images by a simulated user, one after another: voxels right and wrong, and IoU from them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from IncrementalSegLib.engine.ready import ReadyModel
from IncrementalSegLib.engine.session.scans import Masks
from IncrementalSegLib.engine.simulate import SimulateCall, SimulatedUser
from IncrementalSegLib.errors import DataError
from IncrementalSegLib.progress import Progress
from IncrementalSegLib.sampling.cases import Case, Dataset
from IncrementalSegLib.sampling.datasets import restrict_labels
from IncrementalSegLib.sampling.reading import CaseReader
from IncrementalSegLib.structures import StructureSpec
from IncrementalSegLib.types import DeviceName, Json
from Testing.benchmarks.protocol import Session

BACKGROUND = "background"


def draw_images(dataset: Dataset, session: Session, seed: int) -> list[Case]:
    """Return the images of a sequence: consecutive seeds share none until all images were drawn.

    Raises:
        DataError: There are too few images.
    """
    sequences = len(dataset.cases) // session.tasks
    if not sequences:
        raise DataError(
            f"A sequence needs {session.tasks} test images; there are {len(dataset.cases)}.",
            todo="Use the whole data set.",
        )
    cases = sorted(dataset.cases, key=lambda case: case.id)
    turn, place = divmod(seed, sequences)
    order = np.random.default_rng(turn).permutation(len(cases))
    return [cases[index] for index in order[place * session.tasks :][: session.tasks]]


def correct_images(
    session: Session,
    dataset: Dataset,
    model: Path,
    method: str | None,
    options: Mapping[str, Any],
    seed: int,
    device: DeviceName,
    progress: Progress,
) -> list[Json]:
    """Correct a sequence of images; the model on the disk is only read.

    Args:
        session: How.
        dataset: The images to draw from.
        model: Folder of the model.
        method: How a copy of it learns from the corrections; ``None``: it does not.
        options: Options of the method.
        seed: Draws the images, and decides the training.
        device: ``auto``, ``cpu`` or ``cuda``.
        progress: Receives progress.

    Returns:
        For each task the image, the seconds of a round, and voxels (:func:`count_voxels`) of its outlines: ``start``
        by the model on the disk, ``first`` and ``basic`` before and after its own corrections, ``forward`` after the
        task that the session names, where it is a later one, and ``backward`` after the last task, where it is none.

    Raises:
        IncrementalSegError: There are too few images, or the method does not fit.
    """
    images = draw_images(dataset, session, seed)
    ready = ReadyModel.open(model, None, None, device)
    names = ready.structures.names
    dataset = restrict_labels(dataset, [StructureSpec(name, name) for name in names])
    whole = {case.id: case for case in dataset.cases}
    asked = {name: value for name, value in asdict(session).items() if name in ("spots", "rounds", "guidance")}
    call = SimulateCall(
        model=model, data=dataset, method=method, options=dict(options), seed=seed, device=device, **asked
    )
    user, found = SimulatedUser(ready, call, CaseReader(dataset)), list[Json]()

    def outline(place: int) -> Json:
        return count_voxels(*user.outline(whole[images[place].id]), ready)

    for number, image in enumerate(images):
        began = time.monotonic()
        corrected = user.correct(whole[image.id])
        seconds = (time.monotonic() - began) / session.rounds
        first, last = corrected.outlines[0], corrected.outlines[-1]
        counted = {"start": corrected.start, "first": first, "basic": last}
        counts = {name: count_voxels(masks, corrected.truth, ready) for name, masks in counted.items()}
        found.append({"case": image.id, "painted": corrected.voxels, "seconds": round(seconds, 2)} | counts)
        progress(f"correcting {image.id}", (number + 1) / len(images))
        if number + 1 == session.forward:
            ahead = {place: outline(place) for place in range(session.forward, len(images))}
    for place, task in enumerate(found):
        if place in ahead:
            task["forward"] = ahead[place]
        if place + 1 < len(found):
            task["backward"] = outline(place)
    return found


def count_voxels(found: Masks, truth: Masks, ready: ReadyModel) -> Json:
    """Return for the background and each structure the voxels in both outlines, in the one found, and in the truth."""
    named = {item.name: (found[item.id], truth[item.id]) for item in ready.structures}
    ours, true = (np.logical_or.reduce([pair[side] for pair in named.values()]) for side in (0, 1))
    named[BACKGROUND] = (~ours, ~true)
    return {name: [int(part.sum()) for part in (one & two, one, two)] for name, (one, two) in named.items()}


def mean_iou(counts: Mapping[str, list[int]]) -> float:
    """Return the mean IoU of the classes that occur in the truth or in the outline, the background among them."""
    return float(np.mean([both / (one + two - both) for both, one, two in counts.values() if one + two]))


def weighted_iou(counts: Mapping[str, list[int]]) -> float:
    """Return the IoU weighted by the share of each class in the truth, as in the authors' code of CLIS."""
    voxels = sum(two for _, _, two in counts.values())
    return sum(two / voxels * both / (one + two - both) for both, one, two in counts.values() if two)

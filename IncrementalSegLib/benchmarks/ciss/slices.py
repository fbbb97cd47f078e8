"""One test scan for the eye: each structure in its own slice, as a chain has left it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save

from IncrementalSegLib.benchmarks.ciss.training import Trained
from IncrementalSegLib.engine.scores.evaluate import evaluate
from IncrementalSegLib.engine.scores.views import view
from IncrementalSegLib.files import write_bytes
from IncrementalSegLib.inference.prediction import Prediction
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.reports.slices import SliceRow
from IncrementalSegLib.sampling.cases import Case, Dataset
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.types import Json, StructureId
from IncrementalSegLib.volumes.volume import Volume

SHOWN_SEED = 0
"""Slices are kept of the chains with this seed."""


def write_slices(file: Path, models: Sequence[Trained], test: Dataset, scores: Json, device: str) -> None:
    """Segment one test scan and keep of each structure the slice in which the truth is largest.

    Args:
        file: File to write: image, truth, prediction, Dice and pixel aspect of each structure.
        models: The models of a finished chain.
        test: Scans that measure.
        scores: The chain's scores; they say which scan holds most structures.
        device: ``auto``, ``cpu`` or ``cuda``.
    """
    shown = _most_complete(scores)
    scan = replace(test, cases=tuple(case for case in test.cases if case.id == shown))
    arrays: dict[str, NDArray[np.generic]] = {}
    for trained in models:
        for name, row in _rows(trained, scan, device).items():
            (predicted,) = row.predictions
            assert predicted is not None
            dice = next(entry["dice"] for entry in scores[name]["per_case"] if entry["case"] == shown)
            parts = {"image": row.image, "truth": row.truth, "prediction": predicted}
            parts |= {"aspect": np.array(row.aspect), "dice": np.array(dice)}
            arrays |= {f"{name}/{part}": np.ascontiguousarray(array) for part, array in parts.items()}
    file.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(file, save(arrays))


def read_slices(file: Path) -> dict[str, SliceRow]:
    """Return the slices of a chain by structure, each with its Dice in the whole scan as note."""
    arrays = load_file(file)
    names = dict.fromkeys(key.rpartition("/")[0] for key in arrays)
    return {
        name: SliceRow(
            name,
            arrays[f"{name}/image"],
            arrays[f"{name}/truth"],
            (arrays[f"{name}/prediction"],),
            (f"{arrays[f'{name}/dice'].item():.2f}",),
            arrays[f"{name}/aspect"].item(),
        )
        for name in names
    }


def _most_complete(scores: Json) -> str:
    """Return the first case in which most structures occur."""
    counts: dict[str, int] = {}
    for score in scores.values():
        for entry in score["per_case"]:
            counts[entry["case"]] = counts.get(entry["case"], 0) + (entry["voxels_truth"] > 0)
    return max(sorted(counts), key=lambda case: counts[case])


def _rows(trained: Trained, scan: Dataset, device: str) -> dict[str, SliceRow]:
    """Return the slices of the structures that one model is asked for."""
    record = open_model(trained.model).record()
    plan = Plan.model_validate(record.preprocessing)
    rows: dict[str, SliceRow] = {}

    def watch(case: Case, volume: Volume, truth: dict[StructureId, NDArray[np.bool_]], found: Prediction) -> None:
        for item, mask in truth.items():
            if mask.any():
                rows[record.structures.by_id(item).name] = view(case.id, volume, mask, [found.mask[item]], plan)

    evaluate(trained.model, scan, structures=", ".join(trained.structures), device=device, watch=watch)
    return rows

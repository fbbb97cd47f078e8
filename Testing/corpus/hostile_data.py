"""Damaged and hostile labels and data sets, made by code: what is wrong with each, and what a person is told.

A label comes as a manifest of one case, a data set as a folder or manifest.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from hostile_scans import NAN, SHAPE, TEXT, Hostile, Make, changed, image, raw, voxels
from numpy.typing import NDArray


def labelled(label: Make | NDArray[Any], name: str = "label.nii.gz", **row: Any) -> Make:
    """Return what writes a scan, its label and a manifest of both."""

    def make(folder: Path) -> Path:
        background = np.where(np.indices(SHAPE)[2] < 3, 0, voxels()).astype(np.float32)  # air on one side
        image("scan.nii.gz", background)(folder)
        path = label(folder) if callable(label) else image(name, label)(folder)
        table: dict[str, Any] = {"image": "scan.nii.gz", "label": path.name, "values": {"liver": 1, "spleen": 2}}
        (folder / "manifest.json").write_text(json.dumps([table | row]), "utf-8")
        return folder / "manifest.json"

    return make


def outlined(*boxes: tuple[int, int], shape: tuple[int, int, int] = SHAPE, dtype: str = "uint8") -> NDArray[Any]:
    """Return a label map with the values 1, 2, ... between two columns each."""
    label = np.zeros(shape, dtype)
    for value, (first, last) in enumerate(boxes, start=1):
        label[1:5, 2:8, first:last] = value
    return label


def placed(array: NDArray[Any], spacing: float = 1.0, origin: float = 0.0, turn: float = 0.0) -> Make:
    """Return what writes a label at a different position than its scan."""

    def make(folder: Path) -> Path:
        picture = sitk.GetImageFromArray(array)
        picture.SetSpacing((spacing,) * 3)
        picture.SetOrigin((origin,) * 3)
        picture.SetDirection((np.cos(turn), -np.sin(turn), 0, np.sin(turn), np.cos(turn), 0, 0, 0, 1))
        sitk.WriteImage(picture, str(folder / "label.nrrd"))
        return folder / "label.nrrd"

    return make


GOOD = outlined((4, 7), (8, 11))

LABELS: dict[str, Hostile] = {
    "whole": Hostile(labelled(GOOD), "", "ok"),
    "not there": Hostile(labelled(lambda folder: folder / "label.nii.gz"), "is not there"),
    "turned by rounding": Hostile(labelled(placed(GOOD, turn=1e-6)), "", "ok"),
    "on another grid": Hostile(labelled(placed(GOOD[::2, ::2, ::2], 2.0)), "is resampled to it", "warning"),
    "half a voxel off": Hostile(labelled(placed(GOOD, origin=0.5)), "is resampled to it", "warning"),
    "in another room": Hostile(labelled(placed(GOOD, origin=500.0)), "do not overlap"),
    "larger than its scan": Hostile(
        labelled(outlined((4, 7), (8, 11), shape=(9, 14, 16))), "reaches beyond its image", "warning"
    ),
    "smaller than its scan": Hostile(
        labelled(outlined((4, 7), (8, 9), shape=(6, 9, 9))), "covers a part of its image", "warning"
    ),
    "outlines the air": Hostile(labelled(outlined((0, 3), (8, 11))), "liver lies where .* nothing", "warning"),
    "probabilities": Hostile(labelled((GOOD * 0.3).astype(np.float32)), "not whole numbers"),
    "NaN": Hostile(labelled(np.where(GOOD == 2, NAN, GOOD).astype(np.float32)), "not whole numbers"),
    "whole numbers as floats": Hostile(labelled(GOOD.astype(np.float64)), "", "ok"),
    "empty": Hostile(labelled(GOOD * 0), "Nothing is annotated", "warning"),
    "one structure empty": Hostile(labelled(outlined((4, 7))), "Nothing is annotated for spleen", "warning"),
    "values without a name": Hostile(labelled(outlined((4, 5), (5, 6), (6, 7))), r"without a name \(3\)", "warning"),
    "several values, one structure": Hostile(
        labelled(GOOD, values="", looked_for="liver"), "holds the values 1, 2: .* all of them count", "warning"
    ),
    "three channels": Hostile(
        labelled(image("label.nii.gz", np.random.default_rng(0).integers(0, 2, (*SHAPE, 3)).astype("u1"), vector=True)),
        "3 channels",
    ),
    "cut": Hostile(labelled(changed(image("label.nii.gz", GOOD), lambda data: data[:-20])), "truncated"),
    "a text": Hostile(labelled(raw("label.nii.gz", TEXT)), "no NIfTI header"),
    "voxels nobody looked at": Hostile(
        labelled(outlined((4, 7), (7, 9), (9, 11)), values={"liver": 1, "spleen": 2, "ignore": 3}), "", "ok"
    ),
}  # fmt: skip


def described(content: object, name: str = "dataset.json") -> Make:
    """Return what writes a description of a data set beside one scan and its label."""

    def make(folder: Path) -> Path:
        for place in ("imagesTr", "labelsTr"):
            (folder / place).mkdir()
        image("imagesTr/a_0000.nii.gz")(folder)
        image("labelsTr/a.nii.gz", GOOD)(folder)
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / name).write_text(text, "utf-8")
        return folder if name == "dataset.json" else folder / name

    return make


_CHANNELS = {"0": "MR"}
_TABLE = {"background": 0, "liver": 1, "spleen": 2}
_PAIR = {"image": "imagesTr/a_0000.nii.gz", "label": "labelsTr/a.nii.gz"}

DATA: dict[str, Hostile] = {
    "whole": Hostile(described({"channel_names": _CHANNELS, "labels": _TABLE}), "", "ok"),
    "not there": Hostile(lambda folder: folder / "data", "is not there"),
    "an empty folder": Hostile(lambda folder: folder, "neither dataset.json nor a manifest"),
    "JSON that breaks off": Hostile(described('{"channel_names": {"0": '), "cannot be read as JSON"),
    "JSON of another kind": Hostile(described("[1, 2, 3]"), "neither channel_names nor a training list"),
    "JSON nested too deep": Hostile(described("[" * 100_000), "cannot be read as JSON"),
    "no labels": Hostile(described({"channel_names": _CHANNELS}), "no table of labels"),
    "labels that are no numbers": Hostile(
        described({"channel_names": _CHANNELS, "labels": {"liver": "one"}}), "'liver' the value 'one'"
    ),
    "labels in a list": Hostile(described({"channel_names": _CHANNELS, "labels": ["liver"]}), "no table of labels"),
    "neither channels nor training": Hostile(described({"name": "x", "labels": _TABLE}, "dataset.json"), "", "ok"),
    "training of texts": Hostile(described({"labels": _TABLE, "training": ["a.nii.gz"]}), "training case 'a.nii.gz'"),
    "training without labels": Hostile(described({"labels": _TABLE, "training": [{"image": "x"}]}), "training case"),
    "nobody trained": Hostile(described({"labels": _TABLE, "training": []}), "no case"),
    "one name twice": Hostile(described({"labels": _TABLE, "training": [_PAIR, _PAIR]}), "Two cases .* 'a_0000'"),
    "channels in a list": Hostile(described({"channel_names": 3, "labels": _TABLE}), "channel_names"),
    "rows that are no rows": Hostile(
        described({"channel_names": _CHANNELS, "labels": _TABLE, "dataset": {"a": {"label": "x"}}}), "images"
    ),
    "no column image": Hostile(described("scan,label\na,b\n", "manifest.csv"), "no column 'image'"),
    "a row without image": Hostile(described("image,label\n,labelsTr/a.nii.gz\n", "manifest.csv"), "Row 1 .* no image"),
    "more cells than columns": Hostile(described("image\na,b,c\n", "manifest.csv"), "more cells"),
    "one scan twice": Hostile(described(json.dumps([_PAIR | {"looked_for": "liver"}] * 2), "m.json"), "Two cases"),
    "a name that no label has": Hostile(
        described(json.dumps([_PAIR | {"looked_for": "livr", "values": {"liver": 1}}]), "m.json"), "livr"
    ),
    "bytes that are no text": Hostile(raw("m.csv", "", bytes(range(128, 256))), "cannot be read"),
    "a scan as data set": Hostile(image("a.nii.gz"), "is not a data set"),
}  # fmt: skip

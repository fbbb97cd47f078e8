"""Copies of one scan in two data sets: labels that contradict each other are said, or refused."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import BAR, DISC, FEW, SQUARE, case

from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.engine.step.copies import contradictions, grouped_copies, united_copies
from IncrementalSegLib.errors import DataError

STEP = {"options": FEW, "preset": "quick", "steps": 1, "device": "cpu"}
NAMES = {DISC: "disc", SQUARE: "square", BAR: "bar"}


def outlined(**masks):
    """Return a case of eight voxels with these voxels of each structure."""
    rows = torch.zeros((len(masks), 1, 2, 4), dtype=torch.uint8)
    for row, voxels in zip(rows, masks.values(), strict=True):
        row.view(-1)[list(voxels)] = 1
    return replace(case("p", [DISC]), structures=tuple(masks), masks=rows)


def test_copies_are_one_case_with_the_labels_of_all():
    one, other, third = outlined(disc=[0, 1]), outlined(disc=[1, 2], bar=[5]), outlined(bar=[7])
    first, second = grouped_copies([one, third, other], ["x", "y", "x"])
    assert (first, second) == ([one, other], [third])
    both = united_copies(first)
    assert both.structures == ("disc", "bar")
    assert [np.flatnonzero(mask).tolist() for mask in both.masks] == [[0, 1, 2], [5]]


def test_the_worst_pair_of_each_structure_is_named():
    one, other = outlined(disc=[0, 1], bar=[3]), outlined(disc=[0, 1], bar=[])
    third = replace(outlined(disc=[1, 2, 3]), id="third")
    (bar, disc) = sorted(contradictions([[one, other, third], [one, one]], {"disc": "disc", "bar": "bar"}))
    assert "labels of bar: those of 'p' and 'p' agree with a Dice of 0.00" in bar
    assert "labels of disc: those of 'p' and 'third' agree with a Dice of 0.40" in disc
    assert contradictions([[one, one], [third]], {}) == []


@pytest.fixture
def swapped(data, tmp_path):
    """The scans of both with their two labels swapped."""
    copy = shutil.copytree(data / "both", tmp_path / "swapped")
    description = json.loads((copy / "dataset.json").read_text())
    (copy / "dataset.json").write_text(json.dumps(description | {"labels": {"1": "scapula", "2": "humerus"}}))
    return copy


def test_different_labels_of_one_scan_are_said(small_presets, data, swapped, tmp_path, caplog):
    learn(tmp_path / "model", [data / "both", swapped], "humerus, scapula", method="finetune", **STEP)
    assert "Copies of one scan have different labels of humerus" in caplog.text
    assert "agree with a Dice of 0.00" in caplog.text


@pytest.mark.parametrize("lists", ["humerus, scapula", ["humerus", "scapula"]])
def test_one_softmax_refuses_two_labels_of_each_voxel(small_presets, data, swapped, tmp_path, lists):
    with pytest.raises(DataError, match="Every voxel of 'humerus' is labelled as another structure too"):
        learn(tmp_path / "model", [data / "both", swapped], lists, method="cfil", **STEP)


def test_different_structures_of_one_scan_teach(small_presets, data, tmp_path, caplog):
    learn(tmp_path / "model", [data / "both"] * 2, ["humerus", "scapula"], method="cfil", **STEP)
    assert "different labels" not in caplog.text

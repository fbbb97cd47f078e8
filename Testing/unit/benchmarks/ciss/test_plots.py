from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from IncrementalSegLib.benchmarks.ciss import plots
from IncrementalSegLib.benchmarks.ciss.results import Outcome, Results
from IncrementalSegLib.reports.slices import SliceGrid

STAGES = (("a",), ("b",))


def outcome(name: str, dice: float) -> Outcome:
    scores = {item: {"per_case": [{"case": "c", "dice": dice, "voxels_truth": 9}]} for item in "ab"}
    return Outcome(name, STAGES, {0: {"stages": [{"scores": scores}]}})


def test_options_of_a_variant_stand_below_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line they run out of the picture."""
    drawn: list[SliceGrid] = []
    monkeypatch.setattr(plots, "draw_slices", drawn.append)
    monkeypatch.setattr(plots, "png", lambda figure: b"")
    outcomes = {name: outcome(name, dice) for name, dice in (("mib", 0.5), ("pcdd+lambda_crcd=0+lambda_orcd=0", 0.4))}
    (tmp_path / ".slices" / "spine-1-1").mkdir(parents=True)
    mask = np.ones((4, 4), bool)
    parts = {
        "image": np.ones((4, 4)),
        "truth": mask,
        "prediction": mask,
        "aspect": np.array(1.0),
        "dice": np.array(0.5),
    }
    for name in outcomes:
        arrays = {f"{item}/{part}": array for item in "ab" for part, array in parts.items()}
        save_file(arrays, tmp_path / ".slices" / "spine-1-1" / f"{name}.safetensors")
    plots.slice_picture(Results(tmp_path / "spine-1-1", "Spine", {"stages": STAGES}, outcomes))
    (grid,) = drawn
    assert grid.columns == ("best: mib", "worst: pcdd\n+lambda_crcd=0\n+lambda_orcd=0")
    assert [row.title for row in grid.rows] == ["a", "b"]

"""The exemplars for people: what each covers, where it lies, how it looks."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from tiny import FEW

from IncrementalSegLib.engine.exemplars import ban, budget, overview, thumbnails
from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.errors import OptionError
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.sampling.reading import read_case
from IncrementalSegLib.store.versions import open_model


def test_coverage_is_the_sum_of_what_each_exemplar_adds(taught):
    board = json.loads(json.dumps(overview(taught), allow_nan=False))
    found = board["coverage"]["humerus"]
    assert found["with_structure"] >= found["candidates"] >= len(found["orders"]["abstraction"]) > 0
    for order, curve in found["orders"].items():
        ranked = sorted(
            (kept["rank"], kept["gain"])
            for item in board["exemplars"]
            for kept in item["kept_for"]
            if kept["order"] == order and kept["structure"] == "humerus"
        )
        assert [rank for rank, _ in ranked] == list(range(1, len(curve) + 1))
        assert np.cumsum([gain for _, gain in ranked]).tolist() == pytest.approx(curve)
    assert sum(item["bytes"] for item in board["exemplars"]) == board["bytes"] > 0
    assert board["budget"] is None


def test_exemplars_are_listed_by_structure_and_rank(teach, model, data):
    teach(model, data / "both", "scapula", method="finetune")
    places = []
    for item in overview(model)["exemplars"]:
        kept = [(["humerus", "scapula"].index(part["structure"]), part["rank"]) for part in item["kept_for"]]
        places.append(min(kept))
    assert {structure for structure, _ in places} == {0, 1}
    assert places == sorted(places)


def test_an_exemplar_is_found_again_in_its_scan(taught, data):
    cases = {case.id: case for case in open_data(data / "humerus").cases}
    listed = overview(taught)["exemplars"]
    assert listed
    for item in listed:
        case = cases[item["case"]]
        assert item["images"] == [str(path.resolve()) for path in case.images]
        volume, masks = read_case(case)
        grid = volume.grid
        voxel = np.linalg.solve(grid.matrix, np.array(item["position"]) - grid.origin) / grid.spacing
        x, y, z = voxel.round().astype(int)
        assert abs(voxel[2] - item["start"][0]) < 0.01  # slices of an axial model are those of the scan
        z_plane = masks["humerus"][z]
        rows, columns = np.nonzero(z_plane)
        assert abs(rows.mean() - y) < 1.5
        assert abs(columns.mean() - x) < 1.5


@pytest.mark.parametrize("network", ["unet2d", "unet3d"])
def test_thumbnails_show_every_exemplar_with_the_colours_of_its_structures(network, small_presets, data, tmp_path):
    model = tmp_path / "model"
    learn(model, data / "both", "humerus, scapula", options=FEW, preset="quick", steps=1, device="cpu", network=network)
    phases = []
    found = thumbnails(
        model, tmp_path / "out", 96, progress=lambda phase, fraction, numbers=None: phases.append(fraction)
    )
    board = overview(model)["exemplars"]
    assert set(found["thumbnails"]) == {item["id"] for item in board}
    assert phases[-1] == 1.0
    colors = {item.name: item.color for item in open_model(model).record().structures}
    for item in board:
        picture = sitk.GetArrayFromImage(sitk.ReadImage(found["thumbnails"][item["id"]]))
        assert max(picture.shape[:2]) == 96
        shown = {name for name, color in colors.items() if (picture == color).all(-1).any()}
        assert shown <= set(item["structures"])
        assert shown or not item["structures"]


def test_a_banned_exemplar_whose_pixels_are_gone_has_no_thumbnail(model, tmp_path):
    gone = overview(model)["exemplars"][0]["id"]
    ban(model, gone)
    budget(model, 3)
    assert gone not in thumbnails(model, tmp_path / "out")["thumbnails"]
    board = overview(model)
    assert {item["id"]: item["bytes"] for item in board["exemplars"]}[gone] == 0
    assert board["budget"] == 3
    assert board["coverage"]["humerus"]["orders"], "an edit keeps what the step chose"
    assert not Path(tmp_path / "out" / f"{gone}.png").exists()
    with pytest.raises(OptionError, match="8 pixels"):
        thumbnails(model, tmp_path, 8)

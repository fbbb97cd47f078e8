"""The main job on real scans, short: teach, teach again, segment, evaluate."""

import numpy as np
import pytest
import SimpleITK as sitk

from IncrementalSegLib import evaluate, learn, open_data, segment
from IncrementalSegLib.preprocessing.pipeline import forward as prepare_image
from IncrementalSegLib.preprocessing.pipeline import forward_mask, inverse
from IncrementalSegLib.preprocessing.plan import plan_for
from IncrementalSegLib.sampling.reading import read_case

FEW = {"passes": 3, "candidates": 8, "keep": 4}


@pytest.fixture
def hippocampus(shared_data, tmp_path):
    """Return a manifest of four cases in which the labels lie as integer maps beside the images."""
    folder = shared_data / "tiny-fixture" / "hippocampus"
    rows = ["image,label,values,patient"]
    rows += [
        f"{image},{folder / 'labels' / image.name},1=anterior;2=posterior,{image.name[:15]}"
        for image in sorted((folder / "images").iterdir())
    ]
    path = tmp_path / "cases.csv"
    path.write_text("\n".join(rows), "utf-8")
    return path


@pytest.mark.slow
def test_hippocampus_in_3d(hippocampus, tmp_path):
    model, ids = tmp_path / "model", [case.id for case in open_data(hippocampus).cases]
    few = {"options": FEW, "preset": "quick", "device": "cpu"}
    learn(model, hippocampus, "anterior", network="unet3d", steps=60, cases=",".join(ids[:2]), **few)
    before = evaluate(model, hippocampus, cases=ids[3]).structures["anterior"].dice
    assert before > 0.5
    second = learn(model, hippocampus, "posterior", steps=60, cases=ids[2], method="separate", **few)
    assert second.record.structures.names == ("anterior", "posterior")
    scores = evaluate(model, hippocampus, cases=ids[3]).structures
    assert set(scores) == {"anterior", "posterior"}
    assert scores["anterior"].dice == before  # a trunk of its own touches nothing else
    assert scores["posterior"].dice > 0.3
    assert evaluate(model, hippocampus, cases=ids[0]).structures["anterior"].seen_in_training == 1

    image = open_data(hippocampus).cases[3].images[0]
    result = segment(model, image, tmp_path / "out", uncertainty=True)
    source, made = sitk.ReadImage(str(image)), sitk.ReadImage(str(result.outputs[0]))
    assert made.GetSize() == source.GetSize()
    np.testing.assert_allclose(made.GetDirection(), source.GetDirection())
    np.testing.assert_allclose(made.GetOrigin(), source.GetOrigin())

    # What segment writes and what evaluate scores are the same mask.
    written = segment(model, image, tmp_path / "map.nii.gz", structures="anterior").outputs[0]
    mask = sitk.GetArrayFromImage(sitk.ReadImage(str(written))) == 1
    truth = sitk.GetArrayFromImage(sitk.ReadImage(str(open_data(hippocampus).cases[3].label))) == 1
    assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) == pytest.approx(before, abs=1e-6)
    assert result.millilitres["anterior"][0] == pytest.approx(mask.sum() / 1000)  # 1 mm voxels


@pytest.mark.slow
def test_skin_lesions_in_colour(shared_data, tmp_path):
    data = open_data(shared_data / "skin-2d-isic2017")
    ids = [case.id for case in data.cases[:12]]
    model = tmp_path / "model"
    learn(model, data, "lesion", steps=60, cases=",".join(ids[:10]), options=FEW, preset="quick", device="cpu")
    score = evaluate(model, data, cases=",".join(ids[10:])).structures["lesion"]
    assert score.dice > 0.5
    result = segment(model, data.cases[10].images[0], tmp_path / "lesion.png")
    made, source = sitk.ReadImage(str(result.outputs[0])), sitk.ReadImage(str(data.cases[10].images[0]))
    assert made.GetSize() == source.GetSize()
    mask, truth = (
        sitk.GetArrayFromImage(made) > 0,
        sitk.GetArrayFromImage(sitk.ReadImage(str(data.cases[10].label))) > 0,
    )
    dice = next(item.dice for item in score.scores if item.case == ids[10])
    assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) == pytest.approx(dice, abs=1e-6)


def test_a_sagittal_slab_is_sliced_along_its_short_axis(shared_data):
    grids = [sitk.ReadImage(str(path)) for path in sorted((shared_data / "tiny-fixture/spine/images").iterdir())]
    from scans import grid_of

    plan = plan_for([grid_of(image) for image in grids], 1, 2, 8, 128, 128)
    assert plan.orientation == "LIP"
    assert plan.shape[0] == 21


@pytest.mark.parametrize(
    "name",
    ["hippocampus-mr", "lumbar-spine-mr", pytest.param("abdomen-ct-btcv", marks=pytest.mark.slow), "skin-2d-isic2017"],
)
def test_real_labels_come_back_from_the_models_grid(name, shared_data):
    volume, masks = read_case(open_data(shared_data / name).cases[0])
    plan = plan_for([volume.grid], volume.channels, 2, 16, 128, 128)
    _, _, record = prepare_image(volume, plan)
    for label, mask in masks.items():
        there = forward_mask(mask, volume, plan)
        back = inverse(there[None].float(), record)[0] >= 0.5
        assert back.shape == mask.shape
        if mask.any():
            assert 2 * (back & mask).sum() / (back.sum() + mask.sum()) > 0.8, label

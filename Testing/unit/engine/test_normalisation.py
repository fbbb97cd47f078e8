"""CT is recognised at the first step, and its padding changes no result."""

import logging

import numpy as np
import pytest
import SimpleITK as sitk
from scans import image_of, toy, write_dataset

from IncrementalSegLib.engine.segment import segment
from IncrementalSegLib.engine.step.data import model_plan
from IncrementalSegLib.engine.step.presets import find_preset
from IncrementalSegLib.engine.step.request import resolve
from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.sampling.reading import CaseReader
from IncrementalSegLib.store.versions import open_model


def ct(seed: int, padding: float = -1000.0) -> sitk.Image:
    """A toy scan as CT: its organs in a round body in air, and corners that hold the padding."""
    volume, _ = toy(seed)
    array = volume.array[0] - 60  # 40 HU on average
    y, x = np.mgrid[-1:1:32j, -1:1:40j]
    array[:, x**2 + y**2 > 0.8] = -1000
    array[:, x**2 + y**2 > 1.1] = padding
    return image_of(array.astype(np.int16), volume.grid)


def ct_dataset(folder, kinds):
    """Write a data set whose scans are CT where ``kinds`` says so."""
    root = write_dataset(folder, len(kinds))
    for number, is_ct in enumerate(kinds):
        if is_ct:
            sitk.WriteImage(ct(number), str(root / "images" / f"c{number}.nii.gz"))
    return root


def plan_of(tmp_path, kinds, normalisation="auto"):
    request = resolve(tmp_path / "model", ct_dataset(tmp_path / "data", kinds), "liver")
    return model_plan(request, find_preset("quick", 2), CaseReader(), normalisation)


@pytest.mark.parametrize(("kinds", "chosen"), [("CCCC", "ct"), ("MMMM", "zscore"), ("CCCM", "ct"), ("CMMM", "zscore")])
def test_the_values_of_most_scans_choose_the_normalisation(tmp_path, caplog, kinds, chosen):
    with caplog.at_level(logging.WARNING):
        assert plan_of(tmp_path, [kind == "C" for kind in kinds]).normalisation == chosen
    mixed = len(set(kinds)) > 1
    assert ("Of 4 scans" in caplog.text) == mixed
    if mixed:
        assert f"{kinds.count('C')} look like CT" in caplog.text


def test_several_kinds_have_no_unit_in_common_whichever_has_more_scans(tmp_path):
    """As data sets, or as modalities that a manifest states."""
    ct, other = ct_dataset(tmp_path / "ct", [True] * 5), ct_dataset(tmp_path / "other", [False] * 2)
    rows = ["image,label,values,modality"]
    for root, modality in ((ct, "CT"), (other, "MR")):
        rows += [f"{case.images[0]},{case.label},1=liver,{modality}" for case in open_data(root).cases]
    (tmp_path / "both.csv").write_text("\n".join(rows))
    for data, chosen in (([ct, other], "zscore"), ([ct, ct], "ct"), (tmp_path / "both.csv", "zscore")):
        request = resolve(tmp_path / "model", data, "liver")
        assert model_plan(request, find_preset("quick", 2), CaseReader()).normalisation == chosen


def test_a_model_of_ct_warns_of_scans_in_other_units(teach, tmp_path, caplog):
    model = tmp_path / "model"
    teach(model, ct_dataset(tmp_path / "ct", [True] * 2), "liver")
    teach(model, ct_dataset(tmp_path / "more", [True] * 2), "liver", improve=True)
    assert "Hounsfield" not in caplog.text
    teach(model, ct_dataset(tmp_path / "other", [True, False, False]), "liver", improve=True)
    assert "2 of 3 scans do not look like CT in Hounsfield units" in caplog.text


def test_a_person_may_choose_otherwise(tmp_path):
    assert plan_of(tmp_path, [True, True], "zscore").normalisation == "zscore"


def test_the_first_step_fixes_the_normalisation(teach, model, data):
    with pytest.raises(ModelError, match="normalisation is zscore, not ct"):
        teach(model, data / "scapula", "scapula", normalisation="ct")


@pytest.mark.slow
def test_padding_changes_no_result_of_a_ct_model(teach, tmp_path):
    model = tmp_path / "model"
    teach(model, ct_dataset(tmp_path / "data", [True] * 4), "liver", steps=30)
    assert open_model(model).record().preprocessing["normalisation"] == "ct"
    found = {}
    for padding in (-1000, -1024, -2000, -3024):
        path = tmp_path / f"scan{padding}.nii.gz"
        sitk.WriteImage(ct(9, padding), str(path))
        output, _ = segment(model, path, tmp_path / "out", format="nii.gz", device="cpu").outputs
        found[padding] = sitk.GetArrayFromImage(sitk.ReadImage(str(output)))
    assert found[-1000].any()
    assert all(np.array_equal(mask, found[-1000]) for mask in found.values())

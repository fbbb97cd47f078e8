"""``adopt`` and ``release`` as people and programs call them."""

from __future__ import annotations

import pytest
from bundle_folders import metadata, write_bundle
from nnunet_folders import REGIONS, dataset, write_trained

pytestmark = pytest.mark.usefixtures("read_in_process")


def test_a_model_comes_from_nnunet_and_goes_back(tmp_path, command):
    trained = write_trained(tmp_path / "trained", described=dataset(REGIONS, licence="CC BY 4.0"))
    model, target = tmp_path / "model", tmp_path / "Dataset012_Mine"
    assert "knows whole, core" in command("adopt", "nnunet", trained, model).out
    said = command("release", model, "nnunet", target).out
    for part in ("1 whole", "2 core", "painted over", "nnUNetv2_predict -i SCANS -o OUTLINES -d 12", "CC BY 4.0"):
        assert part in said
    found = command("release", model, "nnunet", tmp_path / "b", "--version", 1, "--license", "mine", "--json").json
    assert (found["labels"], found["license"], found["version"]) == ({"whole": 1, "core": 2}, "mine", 1)
    again = command("release", model, "nnunet", target)
    assert again.status == 1
    assert "already there" in again.err


def test_a_part_of_totalsegmentator_is_named(tmp_path, command):
    part = tmp_path / "results" / "Dataset295_TotalSegmentator_part5_ribs_1559subj"
    write_trained(part / "nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres", trainer_name="nnUNetTrainerNoMirroring")
    given = ("adopt", "totalsegmentator", tmp_path / "results")
    found = command(*given, tmp_path / "model", "--part", "ribs", "--json").json["models"]
    assert [(item["model"], item["version"]) for item in found] == [(str(tmp_path / "model"), 1)]
    assert "'organs'" in command(*given, tmp_path / "other", "--part", "organs").err
    assert "Only nnU-Net has folds" in command(*given, tmp_path / "other", "--folds", "0").err
    assert "Only TotalSegmentator has parts" in command("adopt", "nnunet", part, tmp_path / "b", "--part", "ribs").err


def test_structures_are_called_otherwise(tmp_path, command):
    trained, bundle = write_trained(tmp_path / "trained"), write_bundle(tmp_path / "bundle")
    swapped = command("adopt", "nnunet", trained, tmp_path / "a", "--structures", "left=right, right=left")
    assert "knows right, left" in swapped.out
    model = tmp_path / "b"
    for program, folder, names, said in (
        ("nnunet", trained, "Leber=liver", "'liver'"),
        ("bundle", bundle, "Leber=lever", "liver"),
        ("bundle", bundle, "spleen=liver", "Two structures would be called 'spleen'"),
        ("bundle", bundle, "a=liver, a=spleen", "'a' is named twice"),
        ("bundle", bundle, "a=liver, b=liver", "'liver' is given to two"),
        ("bundle", bundle, "background=liver", "Two structures would be called 'background'"),
        ("bundle", bundle, ",", "empty name"),
        ("totalsegmentator", trained, "a=liver", "keep their names"),
    ):
        assert said in command("adopt", program, folder, model, "--structures", names).err, (program, names)
        assert not model.exists()
    assert "knows Leber, spleen" in command("adopt", "bundle", bundle, model, "--structures", "Leber=liver").out


def test_a_model_comes_from_a_bundle_and_goes_back(tmp_path, command):
    bundle = write_bundle(tmp_path / "tiny_ct", described=metadata(license="CC BY 4.0"))
    model, target = tmp_path / "model", tmp_path / "mine"
    said = command("adopt", "bundle", bundle, model).out
    for part in ("knows liver, spleen", "Adopted from tiny_ct: MONAI bundle, UNet in inference.json.", "CC BY 4.0"):
        assert part in said
    assert "Adopted from tiny_ct" in command("versions", model).out
    found = command("release", model, "bundle", target, "--json").json
    assert (found["labels"], found["license"]) == ({"liver": 1, "spleen": 2}, "CC BY 4.0")
    assert "cd mine && python -m monai.bundle run --config_file" in found["command"]
    assert "Only a bundle has" in command("adopt", "nnunet", bundle, model, "--config", "a.json").err
    assert "Choose among inference.json" in command("adopt", "bundle", bundle, tmp_path / "b", "--config", "a.json").err
    assert "its network is monai-unet3d" in command("release", model, "nnunet", tmp_path / "c").err

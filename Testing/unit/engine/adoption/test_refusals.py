"""Folders that are not adopted: the message says what and why, and nothing is left."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from nnunet_folders import LABELS, REGIONS, write_trained

from IncrementalSegLib.engine.adoption import adopt
from IncrementalSegLib.engine.adoption.adopt import adopt_nnunet
from IncrementalSegLib.engine.adoption.weights import fill
from IncrementalSegLib.errors import IncrementalSegError, ModelError, OptionError
from IncrementalSegLib.store.versions import open_model

pytestmark = pytest.mark.usefixtures("read_in_process")


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    return write_trained(tmp_path_factory.mktemp("honest") / "trained")


@pytest.fixture
def folder(honest, tmp_path):
    return shutil.copytree(honest, tmp_path / "trained")


def refusal(folder, tmp_path, **options):
    with pytest.raises(IncrementalSegError) as found:
        adopt_nnunet(folder, tmp_path / "model", **options)
    assert not (tmp_path / "model").exists()
    assert found.value.todo
    return str(found.value)


def edit(folder, name, change):
    document = json.loads((folder / name).read_text("utf-8"))
    change(document)
    (folder / name).write_text(json.dumps(document), "utf-8")


def network(document):
    return document["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"]


def test_a_folder_of_nnunet_v1(tmp_path):
    old = tmp_path / "nnUNetTrainerV2__nnUNetPlansv2.1"
    (old / "fold_0").mkdir(parents=True)
    (old / "plans.pkl").write_bytes(b"x")
    (old / "fold_0" / "model_final_checkpoint.model").write_bytes(b"x")
    assert "made by nnU-Net v1" in refusal(old, tmp_path)


@pytest.mark.parametrize(
    ("name", "reason"), [("plans.json", "holds no plans.json"), ("dataset.json", "holds no dataset.json")]
)
def test_a_missing_document(folder, tmp_path, name, reason):
    (folder / name).unlink()
    assert reason in refusal(folder, tmp_path)


def test_no_checkpoint(folder, tmp_path):
    (folder / "fold_all" / "checkpoint_final.pth").rename(folder / "fold_all" / "checkpoint_best.pth")
    said = refusal(folder, tmp_path)
    assert "no fold holds checkpoint_final.pth" in said
    assert "checkpoint_best.pth" in said
    assert adopt_nnunet(folder, tmp_path / "best", checkpoint="checkpoint_best.pth").number == 1


def test_a_fold_without_its_checkpoint_is_named(folder, tmp_path, caplog):
    for name in ("fold_0", "fold_1", "fold_2"):
        shutil.copytree(folder / "fold_all", folder / name)
    (folder / "fold_1" / "checkpoint_final.pth").rename(folder / "fold_1" / "checkpoint_latest.pth")
    assert adopt_nnunet(folder, tmp_path / "model").step["origin"]["folds"] == ["0", "2"]
    assert "Left out: fold 1, without checkpoint_final.pth." in caplog.text


def test_a_checkpoint_is_a_name_and_no_path(folder, tmp_path):
    assert "is not a file name" in refusal(folder, tmp_path, checkpoint="../fold_all/checkpoint_final.pth")


def test_no_memory_is_taken_for_a_network_whose_weights_are_not_there(folder, tmp_path, monkeypatch):
    def build(model, *rest):
        assert all(item.is_meta for item in model.state_dict().values())
        fill(model, *rest)

    monkeypatch.setattr(adopt, "fill", build)
    edit(folder, "plans.json", lambda plan: network(plan).update(features_per_stage=[4, 6, 8192]))
    assert "instead of (8192, 6, 3, 3, 3)" in refusal(folder, tmp_path)


def test_a_file_that_is_no_json(folder, tmp_path):
    (folder / "dataset.json").write_text("{", "utf-8")
    said = refusal(folder, tmp_path)
    assert said.startswith("dataset.json cannot be adopted: it is not JSON.")
    assert "another version of the model" not in said


def test_no_folder_a_file_and_a_fold_that_is_not_there(folder, tmp_path):
    assert "There is no folder" in refusal(tmp_path / "nowhere", tmp_path)
    assert "is a file" in refusal(folder / "plans.json", tmp_path)
    with pytest.raises(OptionError, match="no fold '3'"):
        adopt_nnunet(folder, tmp_path / "model", folds="3")


def test_the_folder_around_is_enough_unless_it_holds_several(folder, tmp_path):
    around = tmp_path / "Dataset900"
    around.mkdir()
    shutil.copytree(folder, around / "one")
    assert adopt_nnunet(around, tmp_path / "from-around").number == 1
    shutil.copytree(folder, around / "two")
    assert "2 trained networks" in refusal(around, tmp_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda plan: plan.pop("configurations"), "configurations"),
        (lambda plan: plan.update(configurations={}), "'3d_fullres' is missing"),
        (lambda plan: plan["configurations"]["3d_fullres"].update(inherits_from="3d_fullres"), "inherits from itself"),
        (lambda plan: plan["configurations"]["3d_fullres"].update(previous_stage="3d_lowres"), "cascade"),
        (lambda plan: plan["configurations"]["3d_fullres"].update(preprocessor_name="Mine"), "not 'Mine'"),
        (
            lambda plan: plan["configurations"]["3d_fullres"].update(resampling_fn_data="resample_torch"),
            "resample_torch",
        ),
        (lambda plan: plan["configurations"]["3d_fullres"].update(normalization_schemes=["MyScheme"]), "'MyScheme'"),
        (lambda plan: plan["configurations"]["3d_fullres"].update(spacing=[1.0, 0.0, 1.0]), "spacing"),
        (lambda plan: plan["configurations"]["3d_fullres"].update(patch_size=[8, 15, 16]), "cannot be halved"),
        (lambda plan: plan["configurations"]["3d_fullres"].update(patch_size=[4096] * 3), "at most 134217728 voxels"),
        (lambda plan: plan["configurations"]["3d_fullres"].update(patch_size=[16, 16]), "its patches have 2 axes"),
        (
            lambda plan: plan["configurations"]["3d_fullres"]["architecture"].update(network_class_name="Primus"),
            "Primus",
        ),
        (lambda plan: network(plan).update(dropout_op="torch.nn.Dropout3d"), "dropout_op"),
        (lambda plan: network(plan).update(attention=True), "attention"),
        (lambda plan: network(plan).update(norm_op="torch.nn.BatchNorm3d"), "norm_op"),
        (lambda plan: network(plan).update(n_conv_per_stage=[2, 2]), "stages"),
        (lambda plan: network(plan).update(features_per_stage=[4, 6, 8, 8]), "4 numbers of features"),
        (lambda plan: network(plan).update(strides=[[2, 2, 2], [1, 2, 2], [2, 2, 2]]), "strides"),
        (lambda plan: network(plan).update(features_per_stage=[4, 6, 9]), "instead of"),
        (lambda plan: plan.update(image_reader_writer="Tiff3DIO"), "Tiff3DIO"),
        (lambda plan: plan.update(label_manager="Mine"), "label_manager"),
        (lambda plan: plan.update(transpose_forward=[0, 0, 1]), "transposes"),
    ],
)
def test_plans_that_are_unknown(folder, tmp_path, change, reason):
    edit(folder, "plans.json", change)
    assert reason in refusal(folder, tmp_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: data.update(labels={"0": "background", "1": "left"}), "nnU-Net v1"),
        (lambda data: data.update(labels={"left": 1, "right": 2}), "background is None"),
        (lambda data: data.update(labels={"background": 0}), "no label"),
        (lambda data: data.update(labels={"background": 0, "left": 1, "right": 3}), "not 0 to 2"),
        (lambda data: data.update(labels={"background": 0, "left": 1, "right": 1}), "not 0 to 2"),
        (lambda data: data.update(labels={"background": 0, "left": 1, "Left": 2}), "called"),
        (
            lambda data: data.update(labels={"background": 0, "": 1, "right": 2}),
            "dataset.json cannot be adopted: one of",
        ),
        (lambda data: data.update(labels={"background": 0, "Background": 1, "right": 2}), "called 'Background'"),
        (lambda data: data.update(labels={**LABELS, "ignore": 7}), "ignore label"),
        (lambda data: data.update(labels=REGIONS), "regions_class_order"),
        (lambda data: data.update(labels={"background": 0, "left": 2, "right": 1}), "other labels than dataset.json"),
        (lambda data: data.update(labels={**LABELS, "third": 3}), "instead of (4, 4, 1, 1, 1)"),
        (lambda data: data.update(channel_names={"0": "CT", "1": "PET"}), "normalises 1 channels"),
        (lambda data: data.update(channel_names={"0": "MR"}), "other channels than dataset.json"),
        (lambda data: data.pop("channel_names"), "channel_names"),
    ],
)
def test_a_data_set_that_does_not_fit(folder, tmp_path, change, reason):
    edit(folder, "dataset.json", change)
    if "instead of" in reason or "normalises" in reason:  # as a checkpoint that does not say what it was trained on
        path = folder / "fold_all" / "checkpoint_final.pth"
        saved = torch.load(path, weights_only=False)
        saved["init_args"].pop("dataset_json")
        torch.save(saved, path)
    assert reason in refusal(folder, tmp_path)


def test_folds_of_different_trainings(tmp_path):
    folder = write_trained(tmp_path / "trained", folds=(0, 1))
    path = folder / "fold_1" / "checkpoint_final.pth"
    torch.save(torch.load(path, weights_only=False) | {"trainer_name": "nnUNetTrainer_5epochs"}, path)
    assert "another fold otherwise" in refusal(folder, tmp_path)


def test_a_model_that_is_there_already(folder, tmp_path):
    adopt_nnunet(folder, tmp_path / "model")
    with pytest.raises(ModelError, match="There is no folder"):
        adopt_nnunet(tmp_path / "nowhere", tmp_path / "model")
    with pytest.raises(ModelError, match="holds a model already"):
        adopt_nnunet(folder, tmp_path / "model")


def test_a_model_that_another_process_makes_meanwhile_stays_as_it_is(folder, tmp_path, monkeypatch):
    def read(*given, **options):
        with monkeypatch.context() as patch:
            patch.setattr(adopt, "read_nnunet", read_nnunet)
            adopt_nnunet(folder, tmp_path / "model")
        return read_nnunet(*given, **options)

    read_nnunet = adopt.read_nnunet
    monkeypatch.setattr(adopt, "read_nnunet", read)
    with pytest.raises(ModelError, match="holds a model already"):
        adopt_nnunet(folder, tmp_path / "model")
    assert open_model(tmp_path / "model").numbers() == [1]


def test_trainers_of_nnunet_that_keep_the_network(folder, tmp_path):
    path = folder / "fold_all" / "checkpoint_final.pth"
    for number, name in enumerate(("nnUNetTrainer_4000epochs_NoMirroring", "nnUNetTrainerDA5", "nnUNetTrainer_1epoch")):
        torch.save(torch.load(path, weights_only=False) | {"trainer_name": name}, path)
        assert adopt_nnunet(folder, tmp_path / f"model{number}").step["origin"]["trainer"] == name

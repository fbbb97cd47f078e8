"""A released model is the same model when it is adopted again; what nnU-Net has no form for is refused."""

from __future__ import annotations

import json
import pickletools
import zipfile
from dataclasses import replace

import pytest
import torch
from nnunet_folders import LABELS, REGIONS, configuration, dataset, plans, write_trained
from tiny import small_quick

from IncrementalSegLib.engine.adoption.adopt import adopt_nnunet
from IncrementalSegLib.engine.documents import FORMS
from IncrementalSegLib.engine.exemplars import remove_structure
from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.engine.models import load
from IncrementalSegLib.engine.packages.card import escaped
from IncrementalSegLib.engine.packages.transfer import export_package, import_package
from IncrementalSegLib.engine.release import nnunet, shared
from IncrementalSegLib.engine.release.nnunet import release_nnunet
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.files import temporary_sibling
from IncrementalSegLib.networks.task_memory import TaskMemory
from IncrementalSegLib.sampling.phantom import write_phantom_dataset
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.structures import Structure

pytestmark = pytest.mark.usefixtures("read_in_process")

MASKED = configuration(schemes=("ZScoreNormalization", "NoNormalization"), use_mask_for_norm=[True, False])
KINDS = {
    "3d": {},
    "2d": {"given": configuration(2)},
    "residual": {"given": configuration(residual=True)},
    "ct": {"given": configuration(schemes=("CTNormalization",))},
    "two channels": {"given": MASKED, "described": dataset(channels=("T1", "T2"))},
    "regions": {"described": dataset(REGIONS, regions_class_order=[2, 1])},
    "folds": {"folds": (0, 1, 2)},
    "transposed": {"planned": plans(configuration(), "3d_fullres", transpose_forward=[2, 0, 1])},
    "reoriented": {"planned": plans(configuration(), "3d_fullres", image_reader_writer="NibabelIOWithReorient")},
    "pictures": {
        "given": configuration(2, schemes=("RGBTo01Normalization",)),
        "planned": plans(configuration(2), "2d", image_reader_writer="NaturalImage2DIO"),
        "described": dataset(file_ending=".png"),
    },
    "unmirrored": {"inference_allowed_mirroring_axes": None},
}
FILES = ("plans.json", "dataset.json")


def loaded(model):
    return load(open_model(model), start("cpu"))


def read(folder, name):
    return json.loads((folder / name).read_text("utf-8"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_released_model_is_the_same_when_it_is_adopted_again(kind, tmp_path):
    trained = write_trained(tmp_path / "trained", **KINDS[kind])
    adopt_nnunet(trained, tmp_path / "one" / "model")
    first = release_nnunet(tmp_path / "one" / "model", tmp_path / "one" / "Dataset900_Tiny").folder
    adopt_nnunet(first, tmp_path / "two" / "model")
    second = release_nnunet(tmp_path / "two" / "model", tmp_path / "two" / "Dataset900_Tiny").folder
    one, two = loaded(tmp_path / "one" / "model"), loaded(tmp_path / "two" / "model")
    assert one.plan == two.plan
    assert one.segmenter.config == two.segmenter.config
    assert one.record.structures.names == two.record.structures.names
    for mine, other in zip(one.segmenter.state_dict().values(), two.segmenter.state_dict().values(), strict=True):
        assert torch.equal(mine, other)
    assert [(first / name).read_bytes() for name in FILES] == [(second / name).read_bytes() for name in FILES]
    folds = sorted(path.relative_to(first) for path in first.glob("fold_*/*"))
    assert len(folds) == len(KINDS[kind].get("folds", "1"))
    for path in folds:
        assert (first / path).read_bytes() == (second / path).read_bytes()


@pytest.mark.parametrize("dimension", [2, 3])
def test_a_model_that_was_taught_from_the_start_is_the_same_when_it_is_adopted(dimension, tmp_path):
    write_phantom_dataset(tmp_path / "data", 3, scanner="A", structures=["humerus"], seed=1, size=(8, 24, 24))
    with small_quick():
        learn(
            tmp_path / "one", tmp_path / "data", "humerus", network=f"nnunet{dimension}d", method="mib",
            exemplars="none", preset="quick", steps=1, device="cpu",
        )  # fmt: skip
    adopt_nnunet(release_nnunet(tmp_path / "one", tmp_path / "out").folder, tmp_path / "two")
    one, two = loaded(tmp_path / "one"), loaded(tmp_path / "two")
    assert one.plan == two.plan
    assert one.record.structures.names == two.record.structures.names
    for mine, other in zip(one.segmenter.state_dict().values(), two.segmenter.state_dict().values(), strict=True):
        assert torch.equal(mine, other)


def test_labels_channels_and_weights_are_those_of_the_original(tmp_path):
    trained = write_trained(tmp_path / "trained", described=dataset(REGIONS, regions_class_order=[2, 1]))
    adopt_nnunet(trained, tmp_path / "model")
    released = release_nnunet(tmp_path / "model", tmp_path / "out").folder
    before, after = read(trained, "dataset.json"), read(released, "dataset.json")
    for key in ("labels", "regions_class_order", "channel_names", "file_ending"):
        assert after[key] == before[key], key
    assert list(after["labels"]) == list(before["labels"])
    before, after = (
        torch.load(next(folder.glob("fold_*/*.pth")), weights_only=False)["network_weights"]
        for folder in (trained, released)
    )
    assert set(after) == set(before)  # nnU-Net loads strictly
    for name, tensor in before.items():
        if name.startswith("decoder.seg_layers.0."):  # of deep supervision
            assert after[name].shape == tensor.shape
            assert not after[name].any()
        else:
            assert torch.equal(after[name], tensor), name


def test_the_pickle_holds_tensors_and_types_of_python(tmp_path):
    adopt_nnunet(write_trained(tmp_path / "trained"), tmp_path / "model")
    path = next(release_nnunet(tmp_path / "model", tmp_path / "out").folder.glob("fold_0/*.pth"))
    with zipfile.ZipFile(path) as archive:
        data = archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))
    named = {argument for opcode, argument, _ in pickletools.genops(data) if opcode.name == "GLOBAL"}
    assert named == {"torch._utils _rebuild_tensor_v2", "torch FloatStorage", "collections OrderedDict"}


def test_names_looks_and_terms_go_along(tmp_path):
    described = dataset({"background": 0, "kidney_right": 1, "thing": 2}, licence="CC BY 4.0")
    adopt_nnunet(write_trained(tmp_path / "trained", described=described), tmp_path / "model")
    release = release_nnunet(tmp_path / "model", tmp_path / "out")
    assert (dict(release.labels), release.license) == ({"kidney_right": 1, "thing": 2}, "CC BY 4.0")
    assert read(release.folder, "dataset.json")["licence"] == "CC BY 4.0"
    page = (release.folder / "README.md").read_text("utf-8")
    for part in (release.command, "| 1 | kidney\\_right |", "CC BY 4.0", "deep supervision", "Structures exclude"):
        assert part in page
    assert "kidney\\_right, thing, adopted; the scans that taught it are not known here" in page
    assert "- thing: no score\n" in page
    assert "have learned since" not in page
    assert str(tmp_path) not in page + (release.folder / "card.json").read_text("utf-8")
    document = read(release.folder, "dataset.json")
    document["incrementalseg"]["thing"] = {"color": [1, 2, 3], "terminology": "a~b~c"}
    (release.folder / "dataset.json").write_text(json.dumps(document), "utf-8")
    record = adopt_nnunet(release.folder, tmp_path / "again")
    assert (record.structures.items[1].color, record.structures.items[1].terminology) == ((1, 2, 3), "a~b~c")
    assert record.structures.items[0].terminology == loaded(tmp_path / "model").record.structures.items[0].terminology


def test_the_folder_has_the_name_by_which_nnunet_finds_it(tmp_path):
    adopt_nnunet(write_trained(tmp_path / "trained", folds=(0, 1)), tmp_path / "model")
    found = release_nnunet(tmp_path / "model", tmp_path / "Dataset042_Mine")
    assert found.folder == tmp_path / "Dataset042_Mine" / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    assert found.command == "nnUNetv2_predict -i SCANS -o OUTLINES -d 42 -c 3d_fullres -f 0 1"
    other = release_nnunet(tmp_path / "model", tmp_path / "Dataset٠٤٢_Mine")  # digits that nnU-Net does not write
    assert other.folder == tmp_path / "Dataset٠٤٢_Mine"
    plain = release_nnunet(tmp_path / "model", tmp_path / "my folder")
    assert plain.command == "nnUNetv2_predict_from_modelfolder -i SCANS -o OUTLINES -m 'my folder' -f 0 1"
    with pytest.raises(ModelError, match="already there"):
        release_nnunet(tmp_path / "model", tmp_path / "my folder")


def test_two_releases_to_one_folder_leave_a_whole_one_or_none(tmp_path, monkeypatch):
    def write(path, data):
        write_new(path, data)
        if path.name == "README.md":  # another release to the same folder begins
            temporary_sibling(tmp_path / "out")

    write_new = shared.write_new
    monkeypatch.setattr(shared, "write_new", write)
    adopt_nnunet(write_trained(tmp_path / "trained"), tmp_path / "model")
    with pytest.raises(ModelError, match="Cannot write"):
        release_nnunet(tmp_path / "model", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_exported_model_is_released_as_the_original(tmp_path):
    adopt_nnunet(write_trained(tmp_path / "trained", described=dataset(REGIONS)), tmp_path / "one" / "model")
    export_package(tmp_path / "one" / "model", tmp_path / "model.iseg")
    import_package(tmp_path / "model.iseg", tmp_path / "two" / "model")
    one, two = (release_nnunet(tmp_path / name / "model", tmp_path / name / "out").folder for name in ("one", "two"))
    for path in ("plans.json", "dataset.json", "fold_0/checkpoint_final.pth"):
        assert (one / path).read_bytes() == (two / path).read_bytes()


def test_a_region_that_is_left_alone_is_still_one(tmp_path):
    adopt_nnunet(write_trained(tmp_path / "trained", described=dataset(REGIONS)), tmp_path / "model")
    remove_structure(tmp_path / "model", "whole")
    released = release_nnunet(tmp_path / "model", tmp_path / "out").folder
    assert read(released, "dataset.json")["labels"] == {"background": 0, "core": [2, 2]}
    assert adopt_nnunet(released, tmp_path / "again").output == "heads"


@pytest.fixture
def grown(tmp_path):
    """Return a function that adds a structure to an adopted network, with random weights."""

    def grow(labels, name="humerus", *, change=lambda segmenter: None, **options):
        model = tmp_path / "model"
        adopt_nnunet(write_trained(tmp_path / "trained", described=dataset(labels)), model)
        folder, found = open_model(model), loaded(model)
        new = Structure.create(name, 2)
        with torch.random.fork_rng():
            torch.manual_seed(1)
            found.segmenter.add([new.id], **options)
        change(found.segmenter)
        architecture = found.segmenter.architecture()
        record = replace(
            found.record, parent=1, structures=found.record.structures.with_new([new]), architecture=architecture
        )
        tensors = {kind: folder.tensors(kind) for kind in ("prototypes", "exemplars", "memory")}
        documents = {kind: folder.document(kind) for kind in FORMS if kind != "record"}
        with folder.writing():
            folder.write(record, tensors | {"weights": dict(found.segmenter.state_dict())}, documents)
        return model

    return grow


@pytest.mark.parametrize("labels", [LABELS, REGIONS])
def test_a_new_structure_becomes_a_label_or_a_region(labels, grown, tmp_path):
    model = grown(labels)
    released = release_nnunet(model, tmp_path / "out").folder
    assert read(released, "dataset.json")["labels"] == labels | {"humerus": 3}
    adopt_nnunet(released, tmp_path / "again")
    one, two = loaded(model), loaded(tmp_path / "again")
    assert one.record.structures.names == two.record.structures.names
    image = torch.randn(1, 1, 8, 16, 16)
    with torch.no_grad():
        mine, theirs = (item.segmenter.probabilities(item.segmenter(image).logits) for item in (one, two))
    assert mine.shape[1] == 3
    torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)  # two scores of a region became their difference


def test_a_version_that_harms_is_released_with_a_warning(grown, tmp_path):
    model = grown(LABELS)
    assert release_nnunet(model, tmp_path / "plain", number=1).warnings == ()
    folder = open_model(model)
    record = replace(folder.record(2), parent=2, held_back_by=("anterior",), accepted=False)
    tensors = {kind: folder.tensors(kind, 2) for kind in ("weights", "prototypes", "exemplars", "memory")}
    with folder.writing():
        folder.write(record, tensors, {kind: folder.document(kind, 2) for kind in FORMS if kind != "record"})
    release = release_nnunet(model, tmp_path / "harmful", number=3)
    assert release.warnings[:2] == (
        "Version 3 is not in use: it is a candidate.",
        "The retention gate found that it harms older structures: anterior.",
    )
    notes = (release.folder / "README.md").read_text("utf-8")
    assert all(escaped(warning) in notes for warning in release.warnings)


def test_structures_taught_here_are_not_segmented_in_mirrored_scans(grown, tmp_path):
    model = grown(LABELS)
    release = release_nnunet(model, tmp_path / "out", number=2)
    assert release.command.endswith(" --disable_tta")
    (warning,) = [text for text in release.warnings if "mirrored" in text]
    assert "never trained: humerus." in warning
    page = (release.folder / "README.md").read_text("utf-8")
    assert f"    {release.command}\n" in page
    assert escaped(warning) in page
    assert "disable_tta" not in release_nnunet(model, tmp_path / "plain", number=1).command


def test_scores_of_the_gate_and_hardly_learned_structures_are_named(grown, tmp_path):
    model = grown(LABELS)
    folder = open_model(model)
    front, *_, new = folder.record(2).structures
    score = {"case": "a", "dice": 0.75}
    row = {"id": front.id, "basis": "scans", "after": [score, score | {"dice": 0.85}]}
    record = replace(folder.record(2), parent=2, scores={new.id: {"validation_dice": 0.01, "cases": 2}})
    documents = {kind: folder.document(kind, 2) for kind in FORMS if kind != "record"}
    documents["retention"] = {"structures": [row]}
    tensors = {kind: folder.tensors(kind, 2) for kind in ("weights", "prototypes", "exemplars", "memory")}
    with folder.writing():
        folder.write(record, tensors, documents)
    release = release_nnunet(model, tmp_path / "out", number=3)
    assert "humerus was hardly learned (Dice 0.01 on 2 held-out scans): do not rely on its outline." in release.warnings
    page = (release.folder / "README.md").read_text("utf-8")
    assert f"{front.name}: Dice 0.800 on 2 held-out scans" in page


def test_a_network_of_its_own_is_refused_with_a_way_out(grown, tmp_path):
    model = grown(REGIONS, own_trunk=True)
    with pytest.raises(ModelError, match=r"Version 2 of .* humerus has .* branch of its own.* remove humerus"):
        release_nnunet(model, tmp_path / "out")
    assert release_nnunet(model, tmp_path / "earlier", number=1).version == 1
    remove_structure(model, "humerus")
    assert set(release_nnunet(model, tmp_path / "out").labels) == {"whole", "core"}


def test_a_structure_beside_labels_is_refused_with_a_way_out(grown, tmp_path):
    model = grown(LABELS, overlapping=True)
    with pytest.raises(
        ModelError, match=r"humerus may overlap structures .* remove humerus, or teach it .* such as mib"
    ):
        release_nnunet(model, tmp_path / "out")
    remove_structure(model, "humerus")
    assert set(release_nnunet(model, tmp_path / "out").labels) == set(LABELS) - {"background"}


def test_a_task_memory_is_refused(grown, tmp_path):
    model = grown(LABELS, change=lambda segmenter: setattr(segmenter, "tasks", TaskMemory(segmenter)))
    with pytest.raises(ModelError, match="depends on the scan"):
        release_nnunet(model, tmp_path / "out")


@pytest.mark.parametrize("name", ["ignore", "background"])
def test_a_name_with_a_meaning_in_nnunet_is_refused(name, grown, tmp_path):
    with pytest.raises(ModelError, match=f"a structure is called {name}.*Rename it"):
        release_nnunet(grown(LABELS, name), tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda plan: plan.model_copy(update={"orientation": "SPL"}), "oriented to SPL"),
        (lambda plan: plan.model_copy(update={"clip_percent": (1.0, 99.0)}), "the clip_percent of its preprocessing"),
    ],
)
def test_a_plan_that_nnunet_does_not_have_is_refused(change, reason, tmp_path, monkeypatch):
    adopt_nnunet(write_trained(tmp_path / "trained"), tmp_path / "model")
    found = loaded(tmp_path / "model")
    monkeypatch.setattr(nnunet, "load", lambda *_: replace(found, plan=change(found.plan)))
    with pytest.raises(ModelError, match=reason):
        release_nnunet(tmp_path / "model", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_network_that_is_none_of_nnunet_is_refused(tmp_path):
    write_phantom_dataset(tmp_path / "data", 1, scanner="A", structures=["humerus"], seed=1, size=(4, 32, 32))
    learn(tmp_path / "model", tmp_path / "data", "humerus", method="lwfseg", preset="quick", steps=1, device="cpu")
    with pytest.raises(ModelError, match=r"its network is unet2d.* Pass it on as a package, with export"):
        release_nnunet(tmp_path / "model", tmp_path / "out")
    assert not (tmp_path / "out").exists()

"""Structures with groups of their own beside a softmax: taught, judged, removed, packed, corrected and refused."""

import shutil

import numpy as np
import pytest
from tiny import FEW

from IncrementalSegLib.engine.exemplars import remove_structure
from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.engine.models import load
from IncrementalSegLib.engine.packages.transfer import export_package, import_package
from IncrementalSegLib.engine.privacy.ledger import ledger
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.engine.segment import segment
from IncrementalSegLib.engine.step.request import build_method, check_fit
from IncrementalSegLib.errors import ModelError, OptionError, UnknownNameError
from IncrementalSegLib.networks.sharing import fingerprints
from IncrementalSegLib.store.summary import read_summary
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.volumes.io import read_volume

STEP = {"options": FEW, "preset": "quick", "steps": 3, "device": "cpu", "accept": "always"}
BESIDE = ("adapter", "decoder", "lwfseg")


@pytest.fixture(scope="module")
def softmax(small_presets, data, tmp_path_factory):
    """A model with one softmax of humerus and scapula."""
    model = tmp_path_factory.mktemp("groups") / "softmax"
    learn(model, data / "both", "humerus,scapula", method="finetune-softmax", **STEP)
    return model


@pytest.fixture(scope="module")
def models(softmax, data, tmp_path_factory):
    """The same with a third structure beside it, by method."""
    folder = tmp_path_factory.mktemp("beside")
    for method in BESIDE:
        learn(shutil.copytree(softmax, folder / method), data / "humerus", "shaft=humerus", method=method, **STEP)
    return folder


def predictions(model, number, scan, structures=None):
    runtime = start("cpu")
    version = load(open_model(model), runtime, number)
    wanted = None if structures is None else [version.record.structures.named(name).id for name in structures]
    found = version.predictor(runtime).predict(read_volume([scan]), wanted, probability=True, uncertainty=True)
    assert 0 <= found.uncertainty.min() <= found.uncertainty.max() <= 1
    return found


@pytest.mark.parametrize("method", BESIDE)
def test_the_softmax_is_kept_to_the_bit_where_it_is_guaranteed(models, data, method):
    scan = sorted((data / "both").rglob("*.nii.gz"))[0]
    before, after = (predictions(models / method, number, scan) for number in (1, 2))
    same = [
        np.array_equal(getattr(before, kind)[item], getattr(after, kind)[item])
        for item in before.mask
        for kind in ("probability", "mask")
    ]
    report = open_model(models / method).document("retention")
    verdicts = {row["structure"]: row["verdict"] for row in report["structures"]}
    assert set(verdicts) == {"humerus", "scapula"}
    if method == "lwfseg":
        assert not all(same)
        assert "guaranteed" not in verdicts.values()
    else:
        assert all(same)
        assert set(verdicts.values()) == {"guaranteed"}
    assert after.exclusive == set(before.mask)
    masks = [after.mask[item] for item in after.exclusive]
    assert not (masks[0] & masks[1]).any()


def test_any_structures_are_segmented_as_all_are(models, data):
    scan = sorted((data / "both").rglob("*.nii.gz"))[0]
    whole = predictions(models / "adapter", 2, scan)
    for wanted in (["shaft"], ["scapula", "shaft"], ["humerus"]):
        some = predictions(models / "adapter", 2, scan, wanted)
        assert len(some.mask) == len(wanted)
        assert all(np.array_equal(mask, whole.mask[item]) for item, mask in some.mask.items())


@pytest.mark.parametrize("method", BESIDE)
def test_only_methods_of_heads_go_on(models, data, method, tmp_path):
    folder = open_model(models / method)
    assert read_summary(models / method)["outputs"] == ["heads"]
    assert folder.record().output == "classes"
    with pytest.raises(
        ModelError, match=r"'mib' makes classes, the model has classes and heads.*heads beside the softm"
    ):
        check_fit(build_method("mib", {}), folder.record(), folder)
    model = shutil.copytree(models / method, tmp_path / "model")
    record = learn(model, data / "scapula", "blade=scapula", method="adapter", **STEP).record
    assert len(record.architecture["heads"]) == 2
    assert {row["verdict"] for row in open_model(model).document("retention")["structures"]} == {"guaranteed"}


def test_a_softmax_alone_takes_methods_of_either_family(softmax):
    assert read_summary(softmax)["outputs"] == ["classes", "heads"]
    folder = open_model(softmax)
    for name in ("mib", "lwfseg", "separate"):
        check_fit(build_method(name, {}), folder.record(), folder)
    with pytest.raises(
        ModelError, match=r"'dodnet' makes dynamic, the model has classes.*classes or heads \(adapter, "
    ):
        check_fit(build_method("dodnet", {}), folder.record(), folder)


def test_a_network_that_depends_on_the_scan_takes_no_heads(softmax):
    record = open_model(softmax).record()
    record.architecture["tasks"] = True
    with pytest.raises(ModelError, match=r"'adapter' cannot teach this model\. It chooses a network for each scan"):
        check_fit(build_method("adapter", {}), record, None)


@pytest.mark.parametrize("gone", [["shaft"], ["humerus"], ["humerus", "scapula"]])
@pytest.mark.parametrize("method", ["adapter", "separate"])
def test_structures_of_either_kind_can_be_removed(softmax, models, data, tmp_path, method, gone):
    if method == "separate":
        model = shutil.copytree(softmax, tmp_path / "model")
        learn(model, data / "humerus", "shaft=humerus", method=method, **STEP)
    else:
        model = shutil.copytree(models / method, tmp_path / "model")
    folder, runtime = open_model(model), start("cpu")
    scan = sorted((data / "both").rglob("*.nii.gz"))[0]
    before, known = predictions(model, 2, scan), folder.record().structures
    for name in gone:
        remove_structure(model, name)
    left = set(known.ids) - {known.named(name).id for name in gone}
    segmenter = load(folder, runtime).segmenter
    assert set(segmenter.structures) == left
    assert ("background" in segmenter.output.rows) is (len(gone) == 1)
    after = predictions(model, None, scan)
    for item in left - before.exclusive if gone != ["shaft"] else left:
        assert np.array_equal(after.probability[item], before.probability[item])
    learn(model, data / "scapula", "blade=scapula", method="decoder" if gone != ["shaft"] else "mib", **STEP)


@pytest.mark.parametrize("method", ["decoder", "lwfseg"])
def test_a_package_holds_it(models, data, tmp_path, method):
    package = export_package(models / method, tmp_path / "model.iseg", include_exemplars=True)["path"]
    import_package(package, tmp_path / "new")
    runtime = start("cpu")
    one, other = (load(open_model(path), runtime).segmenter for path in (models / method, tmp_path / "new"))
    assert fingerprints(one) == fingerprints(other)
    assert other.exclusive == one.exclusive
    assert ledger(tmp_path / "new")["versions"]
    assert segment(tmp_path / "new", sorted((data / "both").rglob("*.nii.gz"))[0], tmp_path / "out").outputs


def test_where_groups_overlap_a_label_map_shows_what_was_asked_for(models, data, tmp_path):
    model, scan = models / "lwfseg", sorted((data / "both").rglob("*.nii.gz"))[0]
    refused = "In a .seg.nrrd no structure takes precedence"
    with pytest.raises(OptionError, match=refused):
        segment(model, scan, tmp_path / "a.seg.nrrd", precedence="humerus")
    with pytest.raises(UnknownNameError, match="femur"):
        segment(model, scan, tmp_path / "a.nii.gz", precedence="femur")
    masks = predictions(model, 2, scan).mask
    known = open_model(model).record().structures
    for foremost in (None, "humerus"):
        path = segment(model, scan, tmp_path / f"{foremost}.nii.gz", precedence=foremost).outputs[0]
        shown = read_volume([path]).array[0]
        first, other = ("humerus", "shaft") if foremost else ("shaft", "humerus")
        values = {item.name: value for value, item in enumerate(known, start=1)}
        assert np.array_equal(shown == values[first], masks[known.named(first).id])
        left = masks[known.named(other).id] & ~masks[known.named(first).id]
        assert not (left & (shown != values[other])).any()

"""Steps that guarantee what was there: to the bit over three steps, and honestly where other methods follow."""

import json
import logging
import shutil

import numpy as np
import pytest
from tiny import FEW

from IncrementalSegLib.engine.choice import choose_method
from IncrementalSegLib.engine.exemplars import remove_structure
from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.engine.models import load
from IncrementalSegLib.engine.packages.transfer import export_package, import_package
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.networks.sharing import fingerprints
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.volumes.io import read_volume

METHODS = ("decoder", "adapter")
STEPS = (("humerus", "both"), ("scapula", "scapula"), ("shaft", "humerus"))
"""Structure and data of each step; the third calls the humerus by another name."""


def teach(model, data, step, method, **more):
    name, folder = STEPS[step]
    label = f"{name}=humerus" if name == "shaft" else name
    plain = {"options": FEW, "preset": "quick", "steps": 3, "device": "cpu", "accept": "always"}
    return learn(model, data / folder, label, method=method, **plain | more)


@pytest.fixture(scope="module")
def models(small_presets, data, tmp_path_factory):
    """Models after three steps, by method and number of axes."""
    folder = tmp_path_factory.mktemp("guaranteed")
    for method in METHODS:
        for network in ("unet2d", "unet3d"):
            for step in range(3):
                teach(folder / method / network, data, step, method, **({"network": network} if not step else {}))
    return folder


def predictions(model, number, scan):
    """Return the probabilities of every structure of a version, by uuid."""
    runtime = start("cpu")
    version = load(open_model(model), runtime, number)
    found = version.predictor(runtime).predict(read_volume([scan]), probability=True)
    return found.probability | {f"{key} mask": value for key, value in found.mask.items()}


@pytest.mark.parametrize("network", ["unet2d", "unet3d"])
@pytest.mark.parametrize("method", METHODS)
def test_every_older_structure_is_predicted_with_the_same_bits(models, data, method, network):
    model, scan = models / method / network, sorted((data / "both").rglob("*.nii.gz"))[0]
    found = [predictions(model, number, scan) for number in (1, 2, 3)]
    assert [len(item) for item in found] == [2, 4, 6]
    for earlier, later in ((0, 1), (0, 2), (1, 2)):
        for key, value in found[earlier].items():
            assert np.array_equal(value, found[later][key])
    assert any(value.any() for key, value in found[2].items() if "mask" not in key)


@pytest.mark.parametrize("method", METHODS)
def test_the_gate_reports_a_guarantee(models, method):
    folder = open_model(models / method / "unet2d")
    for number, names in ((2, ["humerus"]), (3, ["humerus", "scapula"])):
        report = folder.document("retention", number)
        assert [(row["structure"], row["verdict"], row["basis"]) for row in report["structures"]] == [
            (name, "guaranteed", "weights") for name in names
        ]
        assert report["held_back_by"] == []
        assert report["sentence"].startswith("Guaranteed: no weight has changed that humerus")


def test_the_gate_compares_weights_and_trusts_no_name(models, data, small_presets, tmp_path, monkeypatch):
    from IncrementalSegLib.methods.decoder import Decoder

    model = shutil.copytree(models / "decoder" / "unet2d", tmp_path / "model")
    monkeypatch.setattr(Decoder, "phases", super(Decoder.__mro__[1], Decoder).phases)
    result = learn(
        model, data / "scapula", "blade=scapula", method="decoder", options=FEW, preset="quick", steps=2, device="cpu"
    )
    assert {row.basis for row in result.report.rows} & {"weights"} == set()


@pytest.mark.parametrize("after", METHODS)
def test_other_methods_may_follow_and_the_gate_measures_them(models, data, small_presets, tmp_path, caplog, after):
    model = shutil.copytree(models / after / "unet2d", tmp_path / "model")
    with caplog.at_level(logging.WARNING):
        result = learn(
            model, data / "scapula", "blade=scapula", method="aeiseg", options=FEW, preset="quick", steps=2,
            device="cpu", accept="always",
        )  # fmt: skip
    assert "this step guarantees nothing" in caplog.text
    assert {row.kind for row in result.report.rows} <= {"measured", "proxy"}
    other = next(name for name in METHODS if name != after)
    result = learn(
        model, data / "humerus", "arm=humerus", method=other, options=FEW, preset="quick", steps=2, device="cpu"
    )
    assert [row.verdict for row in result.report.rows] == ["guaranteed"] * 4
    kinds = [branch["kind"] for branch in result.record.architecture["branches"].values()]
    assert kinds == [after, after, other]


@pytest.mark.parametrize("method", METHODS)
def test_the_next_step_guarantees_too_unless_told_otherwise(models, data, method):
    choice = choose_method(open_model(models / method / "unet2d"), open_data(data / "scapula").cases)
    assert choice.method == method
    assert "leaves them as they are" in " ".join(choice.reasons)


@pytest.mark.parametrize("method", METHODS)
def test_only_what_shares_no_weights_is_improved(models, data, small_presets, tmp_path, method):
    model = shutil.copytree(models / method / "unet2d", tmp_path / "model")
    with pytest.raises(ModelError, match=r"cannot improve humerus.*depend on the weights.*lwfseg"):
        teach(model, data, 0, method, improve=True)
    result = teach(model, data, 1, method, improve=True)
    verdicts = {row.structure: row.verdict for row in result.report.rows}
    assert verdicts.pop("scapula") != "guaranteed"
    assert set(verdicts.values()) == {"guaranteed"}


@pytest.mark.parametrize("method", METHODS)
def test_a_removed_structure_takes_its_branch_along(models, tmp_path, method):
    model = shutil.copytree(models / method / "unet2d", tmp_path / "model")
    folder, runtime = open_model(model), start("cpu")
    before = fingerprints(load(folder, runtime, 3).segmenter)
    gone = folder.record().structures.named("scapula").id
    remove_structure(model, "scapula")
    weights = folder.tensors("weights")
    assert {name.split(".")[1] for name in weights if name.startswith("trunks.")} == {"0", "1"}
    assert sum(item.nbytes for item in weights.values()) < sum(
        item.nbytes for item in folder.tensors("weights", 3).values()
    )
    del before[gone]
    assert fingerprints(load(folder, runtime).segmenter) == before


@pytest.mark.parametrize("method", METHODS)
def test_a_package_holds_the_branches(models, data, small_presets, tmp_path, method):
    package = export_package(models / method / "unet2d", tmp_path / "model.iseg", include_exemplars=True)["path"]
    import_package(package, tmp_path / "new")
    runtime = start("cpu")
    one, other = (load(open_model(path), runtime).segmenter for path in (models / method / "unet2d", tmp_path / "new"))
    assert fingerprints(one) == fingerprints(other)
    result = learn(
        tmp_path / "new", data / "scapula", "blade=scapula", method=method, options=FEW, preset="quick", steps=2,
        device="cpu",
    )  # fmt: skip
    assert {row.verdict for row in result.report.rows} == {"guaranteed"}
    assert json.dumps(result.record.architecture)

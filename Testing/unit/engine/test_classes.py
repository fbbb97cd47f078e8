"""A model of the class family on the disk: learn twice, segment, evaluate, export, remove."""

import json
import shutil

import numpy as np
import pytest
import torch
from tiny import tree

from IncrementalSegLib.engine.exemplars import remove_structure
from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.engine.models import load
from IncrementalSegLib.engine.privacy.ledger import forget
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.engine.scores.evaluate import evaluate
from IncrementalSegLib.engine.segment import segment
from IncrementalSegLib.engine.settings import StepSettings
from IncrementalSegLib.engine.step.request import resolve
from IncrementalSegLib.errors import DataError, MissingNeedError, ModelError
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.sampling.reading import read_case
from IncrementalSegLib.store.edits import rename_structure
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.volumes.io import read_volume


@pytest.fixture(scope="module")
def chain(small_presets, data, tmp_path_factory):
    """A model of two steps of MiB; do not write to it."""
    model = tmp_path_factory.mktemp("classes") / "model"
    for name in ("humerus", "scapula"):
        learn(
            model, data / name, name, method="mib", options={"passes": 2}, preset="quick", steps=20, device="cpu",
            accept="always",
        )  # fmt: skip
    return model


@pytest.fixture
def model(chain, tmp_path):
    return shutil.copytree(chain, tmp_path / "model")


def test_a_step_adds_a_column_and_keeps_the_rest(chain):
    folder = open_model(chain)
    first, second = folder.record(1), folder.record(2)
    assert (second.output, second.structures.names) == ("classes", ("humerus", "scapula"))
    assert second.structures.ids[0] == first.structures.ids[0]
    assert set(folder.tensors("prototypes")) == {"background", *second.structures.ids}


def test_an_exported_label_map_holds_what_the_prediction_says(chain, data, tmp_path):
    case = open_data(data / "both").cases[0]
    result = segment(chain, case.images[0], tmp_path / "out.nii.gz", device="cpu", uncertainty=True)
    runtime = start("cpu")
    found = (
        load(open_model(chain), runtime)
        .predictor(runtime)
        .predict(read_case(case)[0], probability=True, uncertainty=True)
    )
    masks = np.stack(list(found.mask.values()))
    assert found.exclusive
    assert masks.sum(0).max() == 1, "structures exclude each other, and something is found"
    labels = read_volume(result.outputs[0]).array[0]
    assert np.array_equal(labels > 0, masks.any(0))
    names = open_model(chain).record().structures.names
    for place, name in enumerate(names, 1):
        assert np.array_equal(labels == place, list(found.mask.values())[place - 1]), name
    assert not any("overlap" in warning for warning in result.warnings)
    total = sum(probability.astype(np.float32) for probability in found.probability.values())
    assert total.max() <= 1.01
    assert 0 <= found.uncertainty.min() < found.uncertainty.max() <= 1


def test_what_is_asked_for_alone_is_what_is_found_among_all(chain, data):
    runtime = start("cpu")
    predictor = load(open_model(chain), runtime).predictor(runtime)
    volume, _ = read_case(open_data(data / "both").cases[0])
    both = predictor.predict(volume, probability=True)
    for item in open_model(chain).record().structures.ids:
        alone = predictor.predict(volume, [item], probability=True)
        assert np.array_equal(alone.mask[item], both.mask[item])
        assert np.array_equal(alone.probability[item], both.probability[item])


def test_uncertainty_is_one_entropy_over_all_that_compete(chain, rng):
    runtime = start("cpu")
    predictor = load(open_model(chain), runtime).predictor(runtime)
    image = torch.from_numpy(rng.normal(size=(1, 2, 32, 32))).half()
    for asked in (predictor.model.structures, predictor.model.structures[:1]):
        found = predictor.uncertainty(image, asked, seed=5).total.numpy()
        random = torch.Generator().manual_seed(5)
        with predictor.autocast():
            passes = list(predictor.model.monte_carlo(image.float().transpose(0, 1), 10, random, asked))
        mean = torch.stack(passes).mean(0).double().numpy()
        joint = np.concatenate([mean, 1 - mean.sum(1, keepdims=True)], 1).clip(1e-12)
        expected = -(joint * np.log(joint)).sum(1) / np.log(joint.shape[1])
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_it_is_evaluated_like_any_model(chain, data):
    found = evaluate(chain, data / "both", device="cpu")
    assert set(found.structures) == {"humerus", "scapula"}
    json.dumps(found.to_json(), allow_nan=False)


def test_removing_a_structure_leaves_the_others_logits(model):
    folder = open_model(model)
    ids = folder.record().structures.ids
    image = torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))

    def logits():
        record = folder.record()
        with torch.no_grad():
            return Segmenter.from_architecture(record.architecture, folder.tensors("weights")).eval()(image).logits

    before = logits()
    record = remove_structure(model, "humerus")
    assert torch.equal(logits(), before[:, [0, 2]])
    assert record.structures.ids == ids[1:]
    held = [key for kind in ("weights", "prototypes", "memory") for key in folder.tensors(kind)]
    assert not any(ids[0] in key for key in held)


def test_the_usual_method_is_of_the_same_family(chain, data):
    assert resolve(chain, data / "both", "clavicle=scapula").method.registered_name == "pcdd"
    before = tree(chain)
    with pytest.raises(ModelError, match=r"'dodnet' makes dynamic, the model has classes.*\(.*mib.*pcdd.*\)"):
        resolve(chain, data / "both", "clavicle=scapula", StepSettings(method="dodnet"))
    assert tree(chain) == before


def test_class_means_that_are_gone_are_asked_for(model, data):
    folder = open_model(model)
    folder.edit({"action": "test"}, tensors={"prototypes": {}}, documents={"prototypes": {"prototypes": {}}})
    with pytest.raises(MissingNeedError, match=r"'pcdd' needs .*humerus, scapula.*remember\(.*method=\"pcdd\""):
        resolve(model, data / "both", "clavicle=scapula", StepSettings(method="pcdd"))


def test_without_class_means_the_usual_method_is_one_that_needs_none(model, data):
    folder = open_model(model)
    folder.edit({"action": "test"}, tensors={"prototypes": {}}, documents={"prototypes": {"prototypes": {}}})
    assert resolve(model, data / "both", "clavicle=scapula").method.registered_name == "mib"


@pytest.mark.parametrize("method", ["pcdd", "reminder"])
def test_it_learns_on_after_a_patient_and_what_they_taught_are_gone(model, data, method):
    folder = open_model(model)
    case = folder.document("history")["steps"][0]["training"][0]["case"]
    assert forget(model, case)["versions"][-1]["structures"] == ["humerus"]
    rename_structure(folder, "scapula", "blade")
    record = remove_structure(model, "humerus")
    assert set(folder.tensors("prototypes")) == set(record.structures.ids), "the background's went with the patient's"
    learn(
        model, data / "humerus", "arm=humerus", method=method, options={"passes": 2}, preset="quick", steps=2,
        device="cpu", accept="always",
    )  # fmt: skip
    folder = open_model(model)
    assert set(folder.tensors("prototypes")) == {"background", *folder.record().structures.ids}
    assert folder.document("memory")["method"] == {}


def test_structures_that_overlap_everywhere_are_refused(small_presets, data, tmp_path):
    rows = ["image,patient,label"]
    for case in open_data(data / "humerus").cases[:2]:
        label = str(case.images[0]).replace("imagesTr", "labelsTr")
        rows.append(f"{case.images[0]},{case.patient},bone={label};marrow={label}")
    (tmp_path / "both.csv").write_text("\n".join(rows), "utf-8")
    with pytest.raises(DataError, match="Every voxel of 'bone'"):
        learn(tmp_path / "new", tmp_path / "both.csv", "bone, marrow", method="mib", steps=1, device="cpu")
    assert not (tmp_path / "new").exists()
    learn(tmp_path / "new", tmp_path / "both.csv", "bone, marrow", steps=1, exemplars="none", device="cpu")

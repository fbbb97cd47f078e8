"""Models with generated heads in everything around training: segmenting in a subset, removal, packages, uncertainty."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from packages import members, sealed
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save, save_file
from tiny import FEW, runtime, small_quick

from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.engine.models import load
from IncrementalSegLib.engine.packages.transfer import export_package, import_package
from IncrementalSegLib.engine.segment import segment
from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.sampling.phantom import write_phantom_dataset
from IncrementalSegLib.store.edits import remove_structure
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.volumes.io import read_volume

IMAGE = torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module", params=["dodnet", "clip-driven"])
def taught(request, tmp_path_factory):
    """A model that was taught the humerus, then the scapula, beside the scans."""
    folder = tmp_path_factory.mktemp(request.param)
    step = {"method": request.param, "options": FEW, "preset": "quick", "steps": 2, "device": "cpu", "accept": "always"}
    with small_quick():
        for number, name in enumerate(("humerus", "scapula")):
            data = write_phantom_dataset(folder / name, 3, "A", [name], number, size=(6, 32, 32))
            learn(folder / "model", data, name, **step)
    return folder


def scores(model, name):
    loaded = load(open_model(model), runtime())
    with torch.no_grad():
        return loaded.segmenter(IMAGE, [loaded.record.structures.named(name).id]).logits


def test_one_structure_is_segmented_alone_with_its_uncertainty(taught, tmp_path):
    (scan,) = sorted((taught / "scapula" / "imagesTr").iterdir())[:1]
    result = segment(taught / "model", [scan], tmp_path, structures="scapula", uncertainty=True, device="cpu")
    assert list(result.millilitres) == ["scapula"]
    outline, spread = result.outputs
    assert sorted(tmp_path.iterdir()) == sorted([outline, spread])
    shown = read_volume([spread]).array
    assert 0 <= shown.min() < shown.max() <= 1


def test_the_record_says_where_text_embeddings_come_from(taught):
    record = open_model(taught / "model").record()
    found = record.architecture.get("output", {})
    assert set(found) == (set(record.structures.ids) if record.output == "dynamic-text" else set())
    assert all(entry["source"] == "seeded" or entry["source"].startswith("wordllama ") for entry in found.values())


def test_the_same_embedding_in_two_steps_gives_two_heads(small_presets, data, tmp_path, caplog):
    step = {"method": "clip-driven", "options": FEW, "preset": "quick", "steps": 1, "device": "cpu", "accept": "always"}
    for name in ("humerus", "scapula"):
        save_file({name: np.ones(8, np.float32)}, tmp_path / "table.safetensors")
        learn(tmp_path / "model", data / name, name, text_embeddings=tmp_path / "table.safetensors", **step)
    assert "'scapula' is that of an earlier structure" in caplog.text
    assert not torch.equal(scores(tmp_path / "model", "humerus"), scores(tmp_path / "model", "scapula"))


def test_removing_a_structure_leaves_the_other_one(taught, tmp_path):
    model = shutil.copytree(taught / "model", tmp_path / "model")
    before = scores(model, "scapula")
    record = remove_structure(open_model(model), "humerus")
    assert [item.name for item in record.structures] == ["scapula"]
    assert torch.equal(scores(model, "scapula"), before)
    assert set(record.architecture.get("output", {})) <= {record.structures.named("scapula").id}


def test_a_package_holds_all_that_the_heads_need(taught, tmp_path):
    package = export_package(taught / "model", tmp_path / "package")["path"]
    import_package(package, tmp_path / "new")
    for name in ("humerus", "scapula"):
        assert torch.equal(scores(tmp_path / "new", name), scores(taught / "model", name))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda texts, weights: texts.popitem(), "not those of its structures"),
        (lambda texts, weights: [value.__imul__(2) for value in weights.values()], "not of unit length"),
    ],
)
@pytest.mark.parametrize("taught", ["clip-driven"], indirect=True)
def test_a_package_with_damaged_text_embeddings_is_refused(taught, tmp_path, damage, message):
    package = export_package(taught / "model", tmp_path / "package")["path"]
    content = members(Path(package).read_bytes())
    record, weights = json.loads(content["record.json"]), load_tensors(content["weights.safetensors"])
    embeddings = {name: value.copy() for name, value in weights.items() if name.endswith(".embedding")}
    damage(record["architecture"]["output"], embeddings)
    content |= {"record.json": json.dumps(record).encode(), "weights.safetensors": save(weights | embeddings)}
    (tmp_path / "bad.iseg").write_bytes(sealed(content))
    with pytest.raises(ModelError, match=message):
        import_package(tmp_path / "bad.iseg", tmp_path / "new")
    assert not (tmp_path / "new").exists()

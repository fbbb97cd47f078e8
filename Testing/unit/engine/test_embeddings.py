"""A model of the embedding family on the disk: learn, remove, learn again, pass on; what its record says of names."""

import json

import numpy as np
import pytest
from packages import members, sealed
from safetensors.numpy import load, save, save_file
from tiny import FEW, tree

from IncrementalSegLib.engine.exemplars import remove_structure
from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.engine.packages.transfer import export_package, import_package
from IncrementalSegLib.engine.segment import segment
from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.store.versions import open_model

STEP = {"method": "cfil", "options": FEW, "preset": "quick", "steps": 2, "device": "cpu", "accept": "always"}


@pytest.fixture(scope="module")
def chain(small_presets, data, tmp_path_factory):
    """Humerus, scapula; then the humerus removed and a third structure taught; do not write to it."""
    folder = tmp_path_factory.mktemp("embeddings")
    table = folder / "table.safetensors"
    random = np.random.default_rng(0)
    save_file({name: random.normal(size=16) + 2 for name in ("humerus", "scapula", "blade", "arm")}, table)
    model = folder / "model"
    learn(model, data / "humerus", "humerus", text_embeddings=table, **STEP)
    learn(model, data / "scapula", "scapula", text_embeddings=table, **STEP)
    remove_structure(model, "humerus")
    learn(model, data / "both", "blade=scapula", **STEP)
    return model


def test_directions_stay_and_the_free_one_is_used_again(chain):
    folder = open_model(chain)
    directions = [folder.tensors("weights", number)["output.directions"] for number in (1, 2, 3, 4)]
    assert np.array_equal(directions[0][0], directions[1][0])
    assert all(np.array_equal(directions[1][1], later[1]) for later in directions[2:])
    assert not np.array_equal(directions[1][0], directions[3][0])
    (scapula, blade) = folder.record().structures
    assert [folder.record().architecture["output"][item.id]["row"] for item in (scapula, blade)] == [1, 0]
    assert abs(float(directions[3][0] @ directions[3][1])) < 1e-6
    assert {name: value.shape for name, value in folder.tensors("weights", 1).items()} == {
        name: value.shape for name, value in folder.tensors("weights").items()
    }


def test_the_record_says_where_each_direction_comes_from(chain):
    record = open_model(chain).record()
    table, name = (record.architecture["output"][item.id] for item in record.structures)
    assert table["source"].startswith("table ")
    assert 0.1 < table["residual"] < 1
    assert name["source"].partition(" ")[0] in ("seeded", "wordllama")
    humerus = open_model(chain).record(1).structures.ids[0]
    assert humerus not in str(record.to_json()["architecture"])


def test_a_package_of_it_finds_the_same(chain, data, tmp_path):
    export_package(chain, tmp_path / "model.iseg")
    import_package(tmp_path / "model.iseg", tmp_path / "again")
    scan = next((data / "both" / "imagesTr").iterdir())
    found = []
    for number, model in enumerate((chain, tmp_path / "again")):
        segment(model, [scan], tmp_path / str(number), device="cpu")
        found.append([data for name, data in tree(tmp_path / str(number)).items() if name.endswith(".seg.nrrd")])
    assert len(found[0]) == 1
    assert found[0] == found[1]
    learn(tmp_path / "again", data / "humerus", "arm=humerus", **STEP)
    assert open_model(tmp_path / "again").record().structures.names == ("scapula", "blade", "arm")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda record, rows, directions: rows[1].update(row=rows[0]["row"]), "was refused.*directions"),
        (lambda record, rows, directions: rows[1].pop("row"), "was refused.*directions"),
        (lambda record, rows, directions: rows[1].update(row=9), "not orthonormal"),
        (lambda record, rows, directions: rows[1].update(source="<b>a name</b>"), "source"),
        (lambda record, rows, directions: directions.__imul__(2), "not orthonormal"),
        (lambda record, rows, directions: record.update(output="heads"), "output is called heads"),
    ],
)
def test_a_damaged_package_is_refused(chain, tmp_path, damage, message):
    export_package(chain, tmp_path / "model.iseg")
    content = members((tmp_path / "model.iseg").read_bytes())
    record, weights = json.loads(content["record.json"]), load(content["weights.safetensors"])
    weights["output.directions"] = weights["output.directions"].copy()
    damage(record, [*record["architecture"]["output"].values()], weights["output.directions"])
    content |= {"record.json": json.dumps(record).encode(), "weights.safetensors": save(weights)}
    (tmp_path / "bad.iseg").write_bytes(sealed(content))
    with pytest.raises(ModelError, match=message):
        import_package(tmp_path / "bad.iseg", tmp_path / "again")
    assert not (tmp_path / "again").exists()

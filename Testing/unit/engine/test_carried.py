"""What a step left is what the next one reads."""

import json

import torch
from tiny import DISC, SQUARE, context, method

from IncrementalSegLib.engine.carried import memory_document, read_carried_state, without_memory
from IncrementalSegLib.engine.models import load
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.store.versions import open_model


def test_everything_comes_back(taught):
    folder = open_model(taught)
    (structure,) = folder.record().structures.ids
    memory, exemplars, prototypes, counts = read_carried_state(folder)
    assert (memory.tensors, memory.data) == ({}, {})
    assert set(prototypes.items) == {structure, "background"}
    background, inside = counts[structure]
    assert background + inside == 3 * 6 * 32 * 32
    assert inside == prototypes[structure].count
    assert exemplars.to_files()[0] == folder.document("exemplars")
    assert all(item.looked_for == (structure,) for item in exemplars)


def test_memory_of_a_method_is_kept_beside_the_counts():
    ctx = context(method("finetune"))
    ctx.memory.data["fisher"] = {"samples": 3}
    document = json.loads(json.dumps(memory_document(ctx)))
    assert document["method"] == {"fisher": {"samples": 3}}
    assert set(document["voxel_counts"]) == {DISC, SQUARE}
    assert all(len(pair) == 2 for pair in document["voxel_counts"].values())


def test_memory_of_a_method_survives_a_step_of_another(model, data, teach):
    folder = open_model(model)
    counts = folder.document("memory")["voxel_counts"]
    kept = {"method": {"anchor": 1}, "voxel_counts": counts}
    folder.edit({"action": "test"}, tensors={"memory": {"anchor": torch.ones(3)}}, documents={"memory": kept})
    record = teach(model, data / "scapula", "scapula").record
    memory, _, prototypes, counts = read_carried_state(folder)
    assert memory.data == {"anchor": 1}
    assert memory.tensors["anchor"].tolist() == [1, 1, 1]
    assert set(counts) == set(record.structures.ids) == set(prototypes.items) - {"background"}


def test_the_curve_and_the_selection_are_documents(taught):
    folder = open_model(taught)
    curve, selection = folder.document("curve"), folder.document("selection")
    assert (curve["steps"], curve["planned"], curve["best_step"]) == (2, 2, 2)
    assert [point["step"] for point in curve["points"]] == [1, 2]
    assert all(point["validation"] is None and point["cross_entropy"] > 0 for point in curve["points"])
    assert selection["descriptor"] == "trunk"


def test_a_loaded_model_is_the_one_that_was_saved(taught):
    folder = open_model(taught)
    one, other = load(folder, start("cpu")), load(folder, start("cpu"), 1)
    assert not one.segmenter.training
    saved = folder.tensors("weights")
    for loaded in (one, other):
        state = loaded.segmenter.state_dict()
        assert set(state) == set(saved)
        assert all(torch.equal(state[name], value) for name, value in saved.items())
    assert one.plan.model_dump(mode="json") == folder.record().preprocessing


def test_memory_is_about_all_structures_or_about_those_it_names(model, data, teach):
    folder = open_model(model)
    assert without_memory(folder, "m/f") == ["humerus"]
    document = folder.document("memory")
    for held, lacking in (
        ({"structures": []}, ["humerus"]),
        ({"structures": list(folder.record().structures.ids)}, []),
        (3, []),
    ):
        folder.edit({"action": "test"}, documents={"memory": document | {"method": {"m/f": held}}})
        assert without_memory(folder, "m/f") == lacking
    folder.edit({"action": "test"}, tensors={"memory": {"m/f": torch.ones(3)}}, documents={"memory": document})
    assert without_memory(folder, "m/f") == []

"""Renaming and removing a structure without building a network."""

from pathlib import Path

import pytest
import torch

from IncrementalSegLib.errors import ModelError, OptionError, UnknownNameError
from IncrementalSegLib.networks.config import BranchConfig, SegmenterConfig
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.networks.sharing import fingerprints
from IncrementalSegLib.store.edits import remove_structure, rename_structure
from IncrementalSegLib.store.record import VersionRecord
from IncrementalSegLib.store.versions import ModelFolder, create_or_open
from IncrementalSegLib.structures import Structure, StructureList

A, B, C = (
    Structure(letter * 32, name, 1, (9, 9, 9))
    for letter, name in (("a", "humerus"), ("b", "scapula"), ("c", "clavicle"))
)


@pytest.fixture
def network() -> Segmenter:
    torch.manual_seed(0)
    network = Segmenter(SegmenterConfig(network="unet2d", widths=(4, 8, 8, 8, 8)))
    network.add([A.id])
    network.add([B.id], own_trunk=True)
    network.add([C.id], own_trunk=True)
    return network.eval()


@pytest.fixture
def model(tmp_path: Path, network: Segmenter) -> ModelFolder:
    folder = create_or_open(tmp_path / "model")
    record = VersionRecord(
        structures=StructureList((A, B, C)),
        architecture=network.architecture(),
        preprocessing={},
        scores={A.id: {"dice": 0.9}, B.id: {"dice": 0.8}},
    )
    means = {A.id: torch.ones(4), B.id: torch.zeros(4), "background": torch.ones(4)}
    memory = {f"{B.id}.mean": torch.ones(1)}
    folder.write(
        record,
        {"weights": network.state_dict(), "prototypes": means, "memory": memory},
        {"prototypes": {"prototypes": {A.id: {"count": 1}, B.id: {"count": 2}}}, "memory": {"order": [A.id, B.id]}},
    )
    return folder


def test_rename_keeps_id_and_weights(model: ModelFolder) -> None:
    rename_structure(model, "HUMERUS", " left humerus ")
    assert model.current == 2
    assert model.record().structures.named("left humerus").id == A.id
    assert model.record(1).structures.names == ("humerus", "scapula", "clavicle")
    names = [model.path / "versions" / number / "weights.safetensors" for number in ("0001", "0002")]
    assert names[0].samefile(names[1])


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("femur", "x", UnknownNameError),
        ("humerus", "Scapula", ModelError),
        ("humerus", " ", OptionError),
        ("humerus", "a,b", OptionError),
        ("humerus", "a=b", OptionError),
    ],
)
def test_wrong_names_change_nothing(model: ModelFolder, old: str, new: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        rename_structure(model, old, new)
    assert model.numbers() == [1]


@pytest.mark.parametrize("gone", [A, B, C])
def test_removal_leaves_the_other_structures_as_they_were(
    model: ModelFolder, network: Segmenter, gone: Structure
) -> None:
    image = torch.rand(1, 1, 16, 16)
    left = [item.id for item in (A, B, C) if item is not gone]
    with torch.no_grad():
        expected = network(image, left).logits
    remove_structure(model, gone.name)
    record = model.record()
    rebuilt = Segmenter.from_architecture(record.architecture, model.tensors("weights")).eval()
    with torch.no_grad():
        assert torch.equal(rebuilt(image, left).logits, expected)
    assert record.structures.ids == tuple(left)
    assert len(rebuilt.trunks) == 2
    everything = str(record.to_json()["scores"]) + str([model.document(kind) for kind in ("prototypes", "memory")])
    keys = " ".join(key for kind in ("weights", "prototypes", "memory") for key in model.tensors(kind))
    assert gone.id not in everything + keys + str(record.architecture)
    assert "background" in model.tensors("prototypes")


@pytest.mark.parametrize(
    ("gone", "trunks", "branches"),
    [(A, 3, {1: 0, 2: 0}), (B, 2, {1: 0}), (C, 2, {1: 0})],
    ids=["of the trunk", "of the first branch", "of the second"],
)
def test_a_branch_goes_with_its_last_structure_and_a_trunk_with_its_last_branch(tmp_path, gone, trunks, branches):
    network = Segmenter(SegmenterConfig(network="unet2d", widths=(4, 8, 8, 8, 8)))
    network.add([A.id])
    network.add([B.id], branch=BranchConfig(kind="adapter", trunk=0, options={"rank": 2}))
    network.add([C.id], branch=BranchConfig(kind="decoder", trunk=0, options={"width": 0.5}))
    network.eval()
    folder = create_or_open(tmp_path / "model")
    record = VersionRecord(structures=StructureList((A, B, C)), architecture=network.architecture(), preprocessing={})
    folder.write(record, {"weights": network.state_dict()}, {})
    image, left = torch.rand(1, 1, 16, 16), [item for item in (A, B, C) if item is not gone]
    remove_structure(folder, gone.name)
    rebuilt = Segmenter.from_architecture(folder.record().architecture, folder.tensors("weights")).eval()
    assert (len(rebuilt.trunks), {index: item.trunk for index, item in rebuilt.branches.items()}) == (trunks, branches)
    with torch.no_grad():
        for item in left:
            assert torch.equal(rebuilt(image, [item.id]).logits, network(image, [item.id]).logits)
    before = fingerprints(network)
    assert fingerprints(rebuilt) == {item.id: before[item.id] for item in left}
    remove_structure(folder, left[1].name)
    assert folder.record().architecture["trunks"] == (1 if left[0] is A else 2)


def test_a_shared_trunk_stays(tmp_path: Path) -> None:
    network = Segmenter(SegmenterConfig(network="unet2d", widths=(4, 8, 8, 8, 8)))
    network.add([A.id, B.id])
    folder = create_or_open(tmp_path / "model")
    record = VersionRecord(structures=StructureList((A, B)), architecture=network.architecture(), preprocessing={})
    folder.write(record, {"weights": network.state_dict()}, {})
    remove_structure(folder, "humerus")
    Segmenter.from_architecture(folder.record().architecture, folder.tensors("weights"))
    with pytest.raises(ModelError, match="only structure"):
        remove_structure(folder, "scapula")
    assert folder.numbers() == [1, 2]

"""A model folder: what is written is read back, what is damaged is named, what is interrupted never was."""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
import torch

from IncrementalSegLib.errors import ModelError, UnknownNameError
from IncrementalSegLib.store.record import VersionRecord
from IncrementalSegLib.store.versions import ModelFolder, create_or_open, open_model
from IncrementalSegLib.structures import Structure, StructureList

BONE = Structure("a" * 32, "humerus", 1, (255, 0, 0))
WEIGHTS = {"weights": {"conv.weight": torch.arange(6.0).reshape(2, 3), "count": torch.tensor(3)}}


def record(**changes: object) -> VersionRecord:
    values = {
        "structures": StructureList((BONE,)),
        "architecture": {"trunks": 1},
        "preprocessing": {"spacing": [1, 1, 1]},
    }
    return VersionRecord(**(values | changes))


@pytest.fixture
def model(tmp_path: Path) -> ModelFolder:
    folder = create_or_open(tmp_path / "shoulder")
    folder.write(record(), WEIGHTS, {"scores": {"dice": 0.9}, "curve": {"loss": [1.0, None]}})
    return open_model(folder.path)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(item.relative_to(folder)): item.read_bytes() for item in folder.rglob("*") if item.is_file()}


def test_what_is_written_is_read_back(model: ModelFolder) -> None:
    assert (model.current, model.numbers(), model.name) == (1, [1], "shoulder")
    assert torch.equal(model.tensors("weights")["conv.weight"], WEIGHTS["weights"]["conv.weight"])
    assert model.tensors("weights")["count"].item() == 3
    assert model.document("curve") == {"loss": [1.0, None]}
    assert (model.tensors("exemplars"), model.document("memory")) == ({}, {})
    assert model.record().structures.names == ("humerus",)
    model.verify()


@pytest.mark.parametrize("number", [0, -1, 2])
def test_a_version_that_is_not_there_is_named(model: ModelFolder, number: int) -> None:
    with pytest.raises(UnknownNameError, match=f"no version called '{number}'.*Known: 1"):
        model.record(number)


def test_nothing_is_on_disk_before_the_first_version(tmp_path: Path) -> None:
    folder = create_or_open(tmp_path / "new" / "My shoulder")
    assert (folder.current, folder.numbers(), folder.name) == (0, [], "My shoulder")
    with pytest.raises(ModelError, match="no version yet"):
        folder.record()
    with pytest.raises(RuntimeError), folder.writing():
        raise RuntimeError("training failed")
    assert list(tmp_path.iterdir()) == []


def test_views_and_shared_tensors_are_saved(model: ModelFolder) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    model.write(record(parent=1), {"weights": {"a": base, "b": base.T, "c": base[1:]}}, {})
    loaded = model.tensors("weights")
    assert torch.equal(loaded["b"], base.T)
    assert torch.equal(loaded["c"], base[1:])


def test_candidate_becomes_current_only_by_accept(model: ModelFolder) -> None:
    candidate = model.write(record(parent=1, accepted=False), WEIGHTS, {})
    assert (model.current, model.numbers(), model.record(2).accepted) == (1, [1, 2], False)
    model.accept(candidate.number)
    assert (model.current, model.record().accepted) == (2, True)
    model.accept(1)
    assert (model.current, model.record(2).accepted) == (1, True)
    assert [item.number for item in model.lineage(2)] == [1, 2]


def test_edit_shares_the_weights(model: ModelFolder) -> None:
    edited = model.edit({"action": "pin"}, documents={"exemplars": {"pinned": ["x"]}})
    first, second = (model.path / "versions" / number / "weights.safetensors" for number in ("0001", "0002"))
    assert first.samefile(second)
    assert (edited.kind, edited.parent, model.current) == ("edit", 1, 2)
    assert (model.document("exemplars"), model.document("scores")) == ({"pinned": ["x"]}, {"dice": 0.9})
    shutil.rmtree(first.parent)
    model.verify()


def test_edit_copies_where_links_are_impossible(model: ModelFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    model.edit({"action": "pin"})
    model.verify(2)
    assert torch.equal(model.tensors("weights")["conv.weight"], WEIGHTS["weights"]["conv.weight"])


@pytest.mark.parametrize("damage", ["flip", "cut", "delete"])
@pytest.mark.parametrize("name", ["weights.safetensors", "record.json", "curve.json", "manifest.json"])
def test_damaged_file_is_named(model: ModelFolder, name: str, damage: str) -> None:
    path = model.path / "versions" / "0001" / name
    data = path.read_bytes()
    if damage == "flip":
        path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    elif damage == "cut":
        path.write_bytes(data[:-2] if name != "manifest.json" else data[:-5])
    else:
        path.unlink()
    if (name, damage) == ("manifest.json", "delete"):
        with pytest.raises(UnknownNameError):  # without a manifest there is no version
            model.verify(1)
        return
    with pytest.raises(ModelError, match=name):
        model.verify(1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON"),
        ("[1]", "JSON object"),
        ("[" * 5000, "not valid JSON"),
        ('{"format": 2}', "Update IncrementalSeg"),
        ('{"format": true}', "format number is True"),
        ('{"format": 1}', "'name'"),
        ('{"format": 1, "name": "x", "id": "x", "created": "x", "current": "1", "accepted": [1]}', "'current'"),
        ('{"format": 1, "name": "x", "id": "x", "created": "x", "current": 1, "accepted": [null]}', "'accepted'"),
    ],
)
def test_damaged_model_file_is_refused(model: ModelFolder, content: str, message: str) -> None:
    (model.path / "model.json").write_text(content)
    with pytest.raises(ModelError, match=message):
        open_model(model.path)


@pytest.mark.parametrize("name", ["../secret.json", "/etc/passwd", "a/b.json", "a.pkl", "manifest.json/.."])
def test_manifest_cannot_point_outside(model: ModelFolder, name: str) -> None:
    path = model.path / "versions" / "0001" / "manifest.json"
    data = json.loads(path.read_text())
    data["files"][name] = {"sha256": "0" * 64, "size": 1}
    path.write_text(json.dumps(data))
    with pytest.raises(ModelError, match="lists a file called"):
        model.verify()


def test_wrong_paths_and_numbers(model: ModelFolder, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "scan.nii.gz").write_text("x")
    before = snapshot(tmp_path)
    for path, opener, message in (
        (tmp_path / "nowhere", open_model, "no model folder"),
        (tmp_path / "file", open_model, "is a file"),
        (tmp_path / "other", open_model, "holds no model.json"),
        (tmp_path / "file", create_or_open, "is a file"),
        (tmp_path / "other", create_or_open, "scan.nii.gz"),
    ):
        with pytest.raises(ModelError, match=message):
            opener(path)
    with pytest.raises(UnknownNameError, match=r"version called '7'.*Known: 1"):
        model.record(7)
    with pytest.raises(UnknownNameError):
        model.write(record(), WEIGHTS, {}, reuse_from=7)
    assert snapshot(tmp_path) == before


def test_second_writer_is_refused(model: ModelFolder) -> None:
    other = ModelFolder(model.path)
    with (
        model.writing(),
        model.writing(),
        pytest.raises(ModelError, match="another process"),
        other.writing(timeout=0.1),
    ):
        pass
    with other.writing(timeout=0.1):
        pass


def test_left_overs_are_ignored_and_removed(model: ModelFolder) -> None:
    for place in (model.path / ".new-1", model.path / "versions" / ".new-2"):
        place.mkdir()
        (place / "weights.safetensors").write_text("half")
    assert model.numbers() == [1]
    model.write(record(parent=1), WEIGHTS, {})
    assert not list(model.path.rglob(".new-*"))

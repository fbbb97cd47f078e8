"""A model folder: what is written is read back, what is damaged is named, what is interrupted never was."""

import errno
import json
import os
import shutil
import subprocess
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


def test_nothing_is_on_disk_before_the_first_version(tmp_path: Path) -> None:
    folder = create_or_open(tmp_path / "new" / "shoulder", name="My shoulder")
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


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("call", range(9))
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_failing_disk_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bool, call: int, code: int
) -> None:
    folder = create_or_open(tmp_path / "shoulder")
    if not first:
        folder.write(record(), WEIGHTS, {})
    before, calls, real = snapshot(tmp_path), [], os.fsync

    def failing(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == call + 1:
            raise OSError(code, os.strerror(code))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    try:
        folder.write(record(), WEIGHTS, {"scores": {}})
    except ModelError as error:
        assert ("full" if code == errno.ENOSPC else "read-only") in str(error)  # noqa: PT017
        kept = {name: data for name, data in snapshot(tmp_path).items() if not name.endswith(".lock")}
        old = {name: data for name, data in before.items() if not name.endswith(".lock")}
        assert kept == old or open_model(folder.path).current == len(folder.numbers())  # all but the last fsync done
    else:
        assert len(calls) <= call


def test_really_full_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no right to mount a small disk")
    try:
        folder = create_or_open(disk / "shoulder")
        folder.write(record(), WEIGHTS, {})
        before = snapshot(disk)
        with pytest.raises(ModelError, match="The disk is full"):
            folder.write(record(parent=1), {"weights": {"w": torch.zeros(100_000)}}, {})
        assert snapshot(disk) == before
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        with pytest.raises(ModelError, match="read-only"):
            create_or_open(folder.path)
        with pytest.raises(ModelError, match="read-only"):
            folder.accept(1)
        open_model(folder.path).verify()
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


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


STOPS = ("fsync", "replace", "rename", "mkdir", "link")


def write_and_die(path: Path, parent: int | None, stop: int) -> int:
    """Write a version in a child that dies before its ``stop``-th call to the disk; return 9, or 0 if it finished."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        calls = 0

        def deadly(real):
            def call(*args, **kwargs):
                nonlocal calls
                calls += 1
                if calls == stop:
                    os._exit(9)
                return real(*args, **kwargs)

            return call

        for name in STOPS:
            setattr(os, name, deadly(getattr(os, name)))
        tensors = {"exemplars": {"x": torch.zeros(2)}} if parent else WEIGHTS
        create_or_open(path).write(record(parent=parent), tensors, {}, parent)
        os._exit(0)
    finally:
        os._exit(1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("old", [0, 1])
def test_kill_at_every_call_leaves_a_model_that_opens(tmp_path: Path, old: int) -> None:
    found, status = [], 9
    while status == 9:
        path = tmp_path / f"stop{len(found)}"
        if old:
            create_or_open(path).write(record(), WEIGHTS, {})
        status = write_and_die(path, old or None, len(found) + 1)
        folder = create_or_open(path)
        found.append(folder.current)
        for number in folder.numbers():
            folder.verify(number)
        again = folder.write(record(), WEIGHTS, {})
        folder.verify()
        assert open_model(path).current == again.number
        assert not list(path.rglob(".new-*"))
    assert status == 0
    assert len(found) > 10
    assert found == [old] * (len(found) - 2) + [old + 1] * 2  # current changes in one call, the last but one

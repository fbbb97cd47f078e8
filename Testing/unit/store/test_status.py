"""Accept, reject and roll back: one small file changes, nothing else, and no tensor library is loaded."""

import subprocess
import sys
from pathlib import Path

import pytest
from faults import ROOT
from operations import tiny_version

from IncrementalSegLib.errors import ModelError, UnknownNameError
from IncrementalSegLib.store.reader import ModelReader
from IncrementalSegLib.store.versions import ModelFolder, create_or_open, open_model


@pytest.fixture
def model(tmp_path: Path) -> ModelFolder:
    """Versions 1 and 2 <- 1 were in use, 3 <- 2 is, 4 <- 3 is a candidate."""
    folder = create_or_open(tmp_path / "shoulder")
    for number in (1, 2, 3):
        tiny_version(folder, number - 1 or None)
    tiny_version(folder, 3, accepted=False)
    return folder


def standing(model: ModelFolder) -> list[str]:
    return [open_model(model.path).status(number) for number in model.numbers()]


def test_every_change_of_standing(model: ModelFolder) -> None:
    assert standing(model) == ["accepted", "accepted", "current", "candidate"]
    model.accept(4)
    assert standing(model) == ["accepted", "accepted", "accepted", "current"]
    assert model.roll_back() == 3
    model.reject(2)
    model.reject(4)
    assert standing(model) == ["accepted", "rejected", "current", "rejected"]
    assert (model.record(1).accepted, model.record(2).accepted) == (True, False)
    assert model.roll_back() == 1  # over the rejected parent
    assert model.roll_back(3) == 3
    assert model.roll_back(3) == 3  # said twice is no mistake
    model.accept(2)  # rejected is a mark, not an end
    assert standing(model) == ["accepted", "current", "accepted", "rejected"]
    assert model.roll_back() == 1
    assert standing(model) == ["current", "accepted", "accepted", "rejected"]


def test_what_is_not_possible_changes_nothing(model: ModelFolder) -> None:
    model.reject(2)
    before = (model.path / "model.json").read_bytes()
    for action, message in (
        (lambda: model.reject(3), "Version 3 is in use"),
        (lambda: model.roll_back(4), "Version 4 is a candidate"),
        (lambda: model.roll_back(2), "Version 2 is rejected"),
    ):
        with pytest.raises(ModelError, match=message):
            action()
    for action in (model.accept, model.reject, model.roll_back, model.status):
        with pytest.raises(UnknownNameError, match="version called '9'"):
            action(9)
    assert (model.path / "model.json").read_bytes() == before


def test_no_version_to_go_back_to(model: ModelFolder, tmp_path: Path) -> None:
    model.roll_back(1)
    with pytest.raises(ModelError, match="Version 1 descends from no version"):
        model.roll_back()
    with pytest.raises(ModelError, match="no version yet"):
        create_or_open(tmp_path / "new").roll_back()
    assert not (tmp_path / "new").exists()


def test_a_damaged_version_does_not_become_current(model: ModelFolder) -> None:
    weights = model.path / "versions" / "0002" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    for action in (model.accept, model.roll_back):
        with pytest.raises(ModelError, match=r"weights\.safetensors is damaged"):
            action(2)
    assert model.current == 3


def test_a_rejected_version_keeps_its_number(model: ModelFolder) -> None:
    model.reject(4)
    assert tiny_version(model, 3).number == 5
    assert ModelReader(model.path).status(5) == "current"


def test_no_tensor_library_is_loaded(model: ModelFolder) -> None:
    code = (
        "import sys; from IncrementalSegLib.store.versions import open_model; folder = open_model(sys.argv[1]);"
        "folder.accept(4); folder.roll_back(); folder.reject(4); sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, model.path], cwd=ROOT, check=False)
    assert done.returncode == 0
    assert standing(model)[3] == "rejected"

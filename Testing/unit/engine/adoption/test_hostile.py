"""Hostile checkpoints are refused, run nothing and leave nothing."""

from __future__ import annotations

import pytest
import torch
from hostile_checkpoints import hostile_checkpoints
from nnunet_folders import read_here, write_trained

from IncrementalSegLib.engine.adoption import checkpoint
from IncrementalSegLib.engine.adoption.adopt import adopt_nnunet
from IncrementalSegLib.errors import ModelError

HOSTILE = list(hostile_checkpoints())


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    folder = write_trained(tmp_path_factory.mktemp("honest") / "trained")
    return folder, torch.load(folder / "fold_all" / "checkpoint_final.pth", weights_only=False)


@pytest.fixture(params=[False, pytest.param(True, marks=pytest.mark.slow)], ids=["here", "in the child"])
def reading(request, monkeypatch):
    """Read checkpoints in this process, which is faster and refuses the same, or in the child as a user does."""
    if not request.param:
        monkeypatch.setattr(checkpoint, "_in_child", read_here)


@pytest.mark.usefixtures("reading")
@pytest.mark.parametrize("hostile", HOSTILE, ids=[item.name for item in HOSTILE])
def test_a_hostile_checkpoint_is_refused_and_leaves_nothing(hostile, honest, tmp_path, monkeypatch):
    folder, saved = honest
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    hostile.write(saved, folder / "fold_all" / "checkpoint_final.pth")
    with pytest.raises(ModelError) as refusal:
        adopt_nnunet(folder, place / "model")
    assert hostile.reason in str(refusal.value)
    assert refusal.value.what.startswith(("fold_all/checkpoint_final.pth cannot", "plans.json cannot"))
    assert "Nothing was written" in str(refusal.value)
    assert list(place.iterdir()) == []


@pytest.mark.usefixtures("reading")
def test_the_fold_of_a_hostile_checkpoint_is_named(tmp_path):
    folder = write_trained(tmp_path / "trained", folds=(0, 1, 2))
    (folder / "fold_1" / "checkpoint_final.pth").write_bytes(b"no archive")
    with pytest.raises(ModelError, match=r"^fold_1/checkpoint_final\.pth cannot be adopted"):
        adopt_nnunet(folder, tmp_path / "model")

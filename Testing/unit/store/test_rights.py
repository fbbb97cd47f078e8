"""Who may read a model: its owner, unless a person says otherwise."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from operations import tiny_version

from IncrementalSegLib.engine.privacy.ledger import ledger
from IncrementalSegLib.store.rewrite import rewrite
from IncrementalSegLib.store.unfinished import Unfinished
from IncrementalSegLib.store.versions import create_or_open, open_model

pytestmark = pytest.mark.skipif(os.name != "posix", reason="rights of POSIX")


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def rights(path) -> dict[Path, int]:
    """Return the rights of a folder and all that is in it."""
    return {item: stat.S_IMODE(item.stat().st_mode) for item in (path, *path.rglob("*"))}


def work(folder) -> None:
    """Write in all the ways in which a model is written."""
    tiny_version(folder, folder.current or None)
    folder.accept(folder.numbers()[-1])
    Unfinished(folder.path).write({"a": 1}, {}, {"weights": torch.zeros(1)})
    rewrite(folder.folder_of(), {"exemplars.json": b"{}"})


def test_a_new_model_is_its_owners_alone_whatever_the_umask(tmp_path, umask):
    folder = create_or_open(tmp_path / "above" / "model")
    work(folder)
    for path, mode in rights(folder.path).items():
        assert mode == (0o700 if path.is_dir() else 0o600), path
    assert stat.S_IMODE((tmp_path / "above").stat().st_mode) == 0o777 & ~umask
    assert ledger(folder.path)["open_to_others"] is False


def test_a_model_that_was_opened_to_a_group_stays_open_to_it(tmp_path):
    before = os.umask(0o022)
    try:
        folder = create_or_open(tmp_path / "model")
        work(folder)
        for path in rights(folder.path):
            path.chmod(0o750 if path.is_dir() else 0o640)
        work(open_model(folder.path))
        found = {path: mode for path, mode in rights(folder.path).items() if path.name != ".lock"}
        assert set(found.values()) == {0o750, 0o640}
        assert ledger(folder.path)["open_to_others"] is True
    finally:
        os.umask(before)

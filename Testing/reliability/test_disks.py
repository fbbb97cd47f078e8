"""A disk that becomes full, read-only or too small at any call: a sentence, and the model as it was."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from faults import Fault, Zygote
from operations import OPERATIONS, next_write_works, standing, tiny_version

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.store.versions import create_or_open, open_model

Places = Callable[[str], Path]
REASONS = {"full": "The disk is full", "limit": "may not grow", "frozen": "The disk is read-only"}
QUICK = ("next version", "accept")


@pytest.mark.parametrize("fault", REASONS)
@pytest.mark.parametrize(
    "operation", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in OPERATIONS]
)
def test_a_disk_that_fails_at_any_call(operation: str, fault: Fault, zygote: Zygote, places: Places) -> None:
    place = places(operation)
    before = standing(place)
    calls = zygote.run(operation, place)["calls"]
    after = standing(place)
    refused = 0
    for call in range(len(calls)):
        place = places(operation)
        answer = zygote.run(operation, place, fault, call)
        now = standing(place)
        if answer["error"] is None:  # it only failed to say in the lock file who writes
            assert now == after
        else:
            refused += 1
            assert REASONS[fault] in answer["error"]
            new = now.keys() - before.keys()
            if "Cannot write" in answer["error"]:  # but where nothing can be removed either, a candidate stays
                assert {number: now[number] for number in before} == before
                assert all(now[number] == "candidate" and fault == "frozen" for number in new)
        OPERATIONS[operation].again(place)
        next_write_works(place)
    assert refused > 0


def test_really_full_and_really_read_only(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no right to mount a small disk")
    try:
        folder = create_or_open(disk / "shoulder")
        tiny_version(folder, None)
        (disk / "ballast").write_bytes(bytes(disk_left(disk)))
        before = {path: path.read_bytes() for path in disk.rglob("*") if path.is_file()}
        with pytest.raises(ModelError, match="The disk is full"):
            tiny_version(folder, 1)
        assert {path: path.read_bytes() for path in disk.rglob("*") if path.is_file()} == before
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        with pytest.raises(ModelError, match="read-only"):
            create_or_open(folder.path)
        for action in (folder.accept, folder.roll_back):
            with pytest.raises(ModelError, match="read-only"):
                action(1)
        open_model(folder.path).verify()
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def disk_left(disk: Path) -> int:
    """Return the bytes that still fit, less one page."""
    state = os.statvfs(disk)
    return max(0, state.f_bavail - 1) * state.f_bsize

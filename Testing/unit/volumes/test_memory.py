"""What a scan needs on its whole way is compared with the free memory before anything is read."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicoms import write_enhanced, write_series

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.volumes import memory
from IncrementalSegLib.volumes.io import read_volume

ARRAY = np.zeros((6, 10, 12), np.int16)


def sparse(path):
    """Write a NIfTI file that promises 8 GB and takes some kB on the disk."""
    sitk.WriteImage(sitk.GetImageFromArray(ARRAY), str(path))
    head = bytearray(path.read_bytes()[:352])
    head[40:56] = np.array([3, 2000, 2000, 1000, 1, 1, 1, 1], "<i2").tobytes()
    path.write_bytes(head)
    os.truncate(path, 352 + 8_000_000_000)
    return path


def written(path):
    sitk.WriteImage(
        sitk.GetImageFromArray(ARRAY.astype(np.uint8) if path.suffix in (".png", ".jpg") else ARRAY), str(path)
    )
    return path


MAKERS = {
    "nii": lambda d: written(d / "a.nii"),
    "nii.gz": lambda d: written(d / "a.nii.gz"),
    "nrrd": lambda d: written(d / "a.nrrd"),
    "mha": lambda d: written(d / "a.mha"),
    "tif": lambda d: written(d / "a.tif"),
    "series": lambda d: write_series(d / "s", ARRAY),
    "multi-frame": lambda d: write_enhanced(d / "a.dcm", ARRAY, range(6)),
}


@pytest.mark.parametrize("name", MAKERS)
def test_every_format_asks_for_the_memory_of_the_whole_way(tmp_path, monkeypatch, name):
    path = MAKERS[name](tmp_path)
    needed = ARRAY.size * (2 + memory.PIPELINE_BYTES)
    monkeypatch.setattr(memory, "free_memory", lambda: needed)
    assert read_volume(path).array.size == ARRAY.size
    monkeypatch.setattr(memory, "free_memory", lambda: needed - 1)
    with pytest.raises(DataError, match=r"needs 13 kB of memory .*this machine has 13 kB free"):
        read_volume(path)


def test_a_file_with_holes_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 16_000_000_000)
    with pytest.raises(DataError, match="needs 72 GB"):
        read_volume(sparse(tmp_path / "a.nii"))


def test_a_packed_file_is_not_unpacked_beyond_what_it_promises(tmp_path):
    import resource

    plain = written(tmp_path / "a.nii").read_bytes()
    with gzip.open(tmp_path / "a.nii.gz", "wb", 1) as file:
        file.write(plain)
        for _ in range(300):
            file.write(bytes(1_000_000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    notes = []
    read_volume(tmp_path / "a.nii.gz", notes)
    assert [note.kind for note in notes] == ["bytes-behind"]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def group(root, place, limit, used, inactive=0):
    folder = root / place
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(limit)
    (folder / "memory.current").write_text(str(used))
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {inactive}\n")


@pytest.mark.skipif(not Path("/proc/self/cgroup").exists(), reason="no control groups")
def test_the_tightest_control_group_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_CGROUPS", tmp_path)
    monkeypatch.setattr(memory.Path, "read_text", _with_groups("0::/a/b\n", memory.Path.read_text))
    group(tmp_path, "a/b", "max", 7)
    group(tmp_path, "a", "1000000", 600_000, 100_000)
    assert memory.free_memory() == 500_000
    group(tmp_path, "a/b", "300000", 100_000)
    assert memory.free_memory() == 200_000


def _with_groups(text, read_text):
    return lambda path, *args: text if str(path) == "/proc/self/cgroup" else read_text(path, *args)


def test_the_free_memory_of_this_machine_is_known():
    free = memory.free_memory()
    assert free is not None
    assert 1e7 < free <= memory.total_memory() < 1e14

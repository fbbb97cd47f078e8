"""Files that are whole or not there."""

from __future__ import annotations

from IncrementalSegLib.files import TEMPORARY, temporary_sibling, write_bytes


def test_the_next_writer_removes_what_a_killed_one_of_the_same_file_left(tmp_path):
    path, other = tmp_path / "scan.seg.nrrd", tmp_path / "other.seg.nrrd"
    theirs = [
        temporary_sibling(other, ".seg.nrrd"),  # of a writer that may be at work
        tmp_path / f"{TEMPORARY}{temporary_sibling(path).name[len(TEMPORARY) :][:8]}-notes",
        tmp_path / f"{TEMPORARY}notes",
    ]
    for item in theirs:
        item.write_bytes(b"theirs")
    temporary_sibling(path, ".seg.nrrd").write_bytes(b"half of it")
    (temporary_sibling(path) / "folder").mkdir(parents=True)
    write_bytes(path, b"whole")
    assert sorted(tmp_path.iterdir()) == sorted([path, *theirs])

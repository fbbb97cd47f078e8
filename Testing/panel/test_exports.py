"""Files that the panel cannot read or write: the kind of the fault is told, not always a lack of space."""

import errno
import os

import pytest
from IncrementalSegPanel.scene.Exports import Export


@pytest.mark.parametrize(
    ("number", "what", "todo"),
    [
        (errno.ENOSPC, "The disk is full", "Free some space"),
        (errno.EACCES, "scan.nrrd may not be read or written", "Ask for access"),
        (errno.EIO, "scan.nrrd could not be read or written", "Check whether it is still there"),
    ],
)
def test_a_fault_of_a_file_is_told_by_its_kind(number, what, todo):
    def pieces():
        yield 0.0
        raise OSError(number, os.strerror(number), "scan.nrrd")

    export = Export(pieces(), lambda piece: piece())
    assert export.error.what.startswith(what)
    assert export.error.todo.startswith(todo)

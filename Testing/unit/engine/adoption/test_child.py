"""The child process that reads checkpoints: it works, and it can do nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from nnunet_folders import write_trained

from IncrementalSegLib.engine.adoption import checkpoint
from IncrementalSegLib.engine.adoption.adopt import adopt_nnunet
from IncrementalSegLib.engine.adoption.child import Inert
from IncrementalSegLib.errors import ModelError

ROOT = Path(__file__).resolve().parents[4]
ATTEMPT = """
import sys
from pathlib import Path
from IncrementalSegLib.engine.adoption import child
child._leave_network()
child._forbid(Path(sys.argv[1]))
{attempt}
print("done")
"""


def test_a_checkpoint_is_read_in_a_process_of_its_own(tmp_path):
    record = adopt_nnunet(write_trained(tmp_path / "trained"), tmp_path / "model")
    assert record.structures.names == ("left", "right")


@pytest.mark.parametrize(
    ("attempt", "can"),
    [
        ("Path(sys.argv[1], 'result').write_text('x')", True),
        ("Path(sys.argv[1] + '-beside').write_text('x')", False),
        ("import socket; socket.create_connection(('127.0.0.1', 9), 0.1)", False),
        ("import subprocess; subprocess.run(['true'])", False),
        ("import os; os.system('true')", False),
        ("import os; os.remove(sys.argv[1])", False),
    ],
)
def test_the_child_can_write_into_its_folder_alone(attempt, can, tmp_path):
    folder = tmp_path / "output"
    folder.mkdir()
    command = [sys.executable, "-B", "-c", ATTEMPT.format(attempt=attempt), str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode == 0, "done" in done.stdout) == (can, can), done.stderr
    assert [item.name for item in tmp_path.iterdir()] == ["output"]


def test_a_full_disk_is_no_fault_of_the_checkpoint(tmp_path, monkeypatch):
    trained = write_trained(tmp_path / "trained")
    monkeypatch.setattr(checkpoint, "_CHILD", (sys.executable, "-c", "raise SystemExit(1)"))
    with pytest.raises(ModelError, match="ended with status 1"):
        adopt_nnunet(trained, tmp_path / "model")
    monkeypatch.setattr(checkpoint.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(ModelError, match=r"fold_all/checkpoint_final.pth .* not enough room .* TMPDIR"):
        adopt_nnunet(trained, tmp_path / "model")


def test_what_stands_for_other_types_holds_nothing():
    item = Inert("anything", 1)
    item.__setstate__({"x": 1})
    assert vars(item) == {}

"""One writer at a time, with real processes."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from faults import ROOT

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.store.lock import LOCK, WriterLock

HOLD = """
import sys, time
from pathlib import Path
from IncrementalSegLib.store.lock import WriterLock
with WriterLock(Path(sys.argv[1])).hold(5):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path):
    """A process that holds the lock of ``tmp_path / "model"``."""
    command = [sys.executable, "-c", HOLD, tmp_path / "model"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_refused_and_told_who_writes(holder, tmp_path: Path) -> None:
    lock = WriterLock(tmp_path / "model")
    for _ in range(2):  # whoever asks leaves the holder's number where it is
        with pytest.raises(ModelError, match=rf"another process \(number {holder.pid}\)"), lock.hold(0.1):
            pass
    assert not lock.is_held


def test_a_killed_process_holds_nothing(holder, tmp_path: Path) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    lock = WriterLock(tmp_path / "model")
    with lock.hold(1):
        assert lock.is_held
    assert (tmp_path / "model" / LOCK).read_text() == ""


def test_a_lock_file_with_anything_in_it_does_no_harm(holder, tmp_path: Path) -> None:
    for text in ("", "not a number"):
        (tmp_path / "model" / LOCK).write_text(text)
        with pytest.raises(ModelError, match=r"by another process\."), WriterLock(tmp_path / "model").hold(0):
            pass


def test_holding_may_be_nested(tmp_path: Path) -> None:
    lock = WriterLock(tmp_path / "model")
    with lock.hold(0):
        with lock.hold(0):
            (tmp_path / "model" / "x").touch()
        assert lock.is_held
    assert not lock.is_held

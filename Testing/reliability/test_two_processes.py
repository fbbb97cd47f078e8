"""Two processes on one model: the second is refused with a sentence, and what the first learns is not lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from faults import ROOT
from operations import MODEL, next_write_works, standing
from tiny import tree

from IncrementalSegLib.engine.correct import corrections
from IncrementalSegLib.store.lock import LOCK

ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def begin(place: Path, *arguments: str | Path) -> subprocess.Popen[str]:
    """Start a command on the model."""
    name, *others = arguments
    line = [sys.executable, "-m", "IncrementalSegLib", name, place / MODEL, *others, "--json"]
    return subprocess.Popen(line, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def learn(place: Path) -> subprocess.Popen[str]:
    """Begin a step."""
    few = ("--option", "passes=2", "--option", "candidates=4", "--option", "keep=2")
    asked = ("--data", place / "scapula", "--structures", "scapula", "--method", "lwfseg", "--accept", "always")
    return begin(place, "learn", *asked, "--steps", "2", *few)


def correct(place: Path, number: int, *more: str) -> subprocess.Popen[str]:
    """Begin a round on a scan that taught nothing."""
    scan = sorted((place / "scapula" / "imagesTr").iterdir())[number]
    files = ("--strokes", place / "strokes.seg.nrrd", "--output", place / f"outline{number}.seg.nrrd")
    return begin(place, "correct", scan, *files, *(more or ("--method", "lwfseg", "--steps", "1")))


@contextmanager
def halted(process: subprocess.Popen[str], place: Path) -> Iterator[None]:
    """Halt a process as soon as it may write the model, and let it finish afterwards."""
    while process.poll() is None and not (place / MODEL / LOCK).read_text():
        time.sleep(0.01)
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)
    finish(process)


def finish(process: subprocess.Popen[str]) -> None:
    """Wait for a process that succeeds."""
    error = process.communicate()[1]
    assert process.returncode == 0, error


def refused(process: subprocess.Popen[str], holder: subprocess.Popen[str]) -> None:
    """Make sure that a process said who is at work, and did nothing."""
    out, error = process.communicate()
    said = " ".join(error.split())
    assert (process.returncode, out) == (1, "")
    assert f"is being written by another process (number {holder.pid}). Wait until it has finished." in said
    assert "Traceback" not in said


@pytest.mark.timeout(600)
def test_a_second_process_waits_for_its_turn(made: Path, tmp_path: Path) -> None:
    place = Path(shutil.copytree(made, tmp_path / "place"))
    first = correct(place, 0)
    with halted(first, place):
        before = tree(place / MODEL)
        for second in (correct(place, 1), learn(place), begin(place, "correct", "--session", "discard")):
            refused(second, first)
        finish(correct(place, 1, "--method", "propagate-only"))  # writes nothing into the model
        assert tree(place / MODEL) == before
    (place / "outline1.seg.nrrd").unlink()
    finish(correct(place, 1))
    assert [scan["rounds"] for scan in corrections(place / MODEL).scans] == [1, 1]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_corrections_wait_for_a_step(made: Path, tmp_path: Path) -> None:
    place = Path(shutil.copytree(made, tmp_path / "place"))
    first = learn(place)
    with halted(first, place):
        refused(correct(place, 0), first)
        refused(learn(place), first)
    assert standing(place) == {1: "accepted", 2: "accepted", 3: "accepted", 4: "candidate", 5: "current"}
    assert not (place / "outline0.seg.nrrd").exists()
    finish(correct(place, 0))
    assert corrections(place / MODEL).parent == 5
    next_write_works(place)

"""Two processes on one model: the second is refused with a sentence, and what the first learns is not lost."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from faults import Command, Zygote
from operations import MODEL, next_write_works, standing
from tiny import tree

from IncrementalSegLib.engine.correct import corrections
from IncrementalSegLib.store.lock import LOCK

Begin = Callable[..., Command]


@pytest.fixture
def begin(zygote: Zygote, tmp_path: Path) -> Begin:
    """Return a function that starts a command on the model of a place."""

    def start(place: Path, name: str, *others: str | Path) -> Command:
        return zygote.start(tmp_path, name, place / MODEL, *others, "--json")

    return start


@pytest.fixture
def learn(begin: Begin) -> Begin:
    """Return a function that begins a step."""
    few = ("--option", "passes=2", "--option", "candidates=4", "--option", "keep=2")

    def start(place: Path) -> Command:
        asked = ("--data", place / "scapula", "--structures", "scapula", "--method", "lwfseg", "--accept", "always")
        return begin(place, "learn", *asked, "--steps", "2", *few)

    return start


@pytest.fixture
def correct(begin: Begin) -> Begin:
    """Return a function that begins a round on a scan that taught nothing."""

    def start(place: Path, number: int, *more: str) -> Command:
        scan = sorted((place / "scapula" / "imagesTr").iterdir())[number]
        files = ("--strokes", place / "strokes.seg.nrrd", "--output", place / f"outline{number}.seg.nrrd")
        return begin(place, "correct", scan, *files, *(more or ("--method", "lwfseg", "--steps", "1")))

    return start


@contextmanager
def halted(process: Command, place: Path) -> Iterator[None]:
    """Halt a process as soon as it may write the model, and let it finish afterwards."""
    while process.poll() is None and not (place / MODEL / LOCK).read_text():
        time.sleep(0.01)
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)
    finish(process)


def finish(process: Command) -> None:
    """Wait for a process that succeeds."""
    error = process.communicate()[1]
    assert process.returncode == 0, error


def refused(process: Command, holder: Command) -> None:
    """Make sure that a process said who is at work, and did nothing."""
    out, error = process.communicate()
    said = " ".join(error.split())
    assert (process.returncode, out) == (1, "")
    assert f"is being written by another process (number {holder.pid}). Wait until it has finished." in said
    assert "Traceback" not in said


@pytest.mark.timeout(600)
def test_a_second_process_waits_for_its_turn(
    made: Path, tmp_path: Path, begin: Begin, learn: Begin, correct: Begin
) -> None:
    place = Path(shutil.copytree(made, tmp_path / "place"))
    first = correct(place, 0)
    with halted(first, place):
        before = tree(place / MODEL)
        at_once = correct(place, 1), learn(place), begin(place, "correct", "--session", "discard")
        for second in at_once:  # each waits for five seconds
            refused(second, first)
        finish(correct(place, 1, "--method", "propagate-only"))  # writes nothing into the model
        assert tree(place / MODEL) == before
    (place / "outline1.seg.nrrd").unlink()
    finish(correct(place, 1))
    assert [scan["rounds"] for scan in corrections(place / MODEL).scans] == [1, 1]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_corrections_wait_for_a_step(made: Path, tmp_path: Path, learn: Begin, correct: Begin) -> None:
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

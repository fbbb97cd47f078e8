"""Whole ``learn`` processes killed with SIGKILL: the model stays as it was, and ``--resume`` ends with a version."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path

import pytest
from faults import Command, Zygote
from operations import MODEL, next_write_works, standing

from IncrementalSegLib.store.lock import LOCK
from IncrementalSegLib.store.unfinished import Unfinished
from IncrementalSegLib.store.versions import open_model

FEW = ("--option", "passes=2", "--option", "candidates=4", "--option", "keep=2")
WORKING = 1.5
"""Seconds within which a process is killed after it has taken the lock: about what its step takes."""


def start(zygote: Zygote, place: Path) -> Command:
    """Do what a person would type: go on where there is something to go on with."""
    if Unfinished(place / MODEL).exists:
        return zygote.start(place, "learn", place / MODEL, "--json", "--resume")
    asked = ("--data", place / "scapula", "--structures", "scapula", "--method", "lwfseg", "--steps", "20")
    return zygote.start(place, "learn", place / MODEL, "--json", *asked, *FEW)


def kill_one(zygote: Zygote, place: Path, delay: float | None) -> bool:
    """Start a process and kill it; return whether it was still alive.

    Args:
        zygote: Its parent.
        place: Where the model lies.
        delay: Seconds after it has taken the lock; ``None``: as soon as there is a checkpoint.
    """
    process = start(zygote, place)
    while process.poll() is None and not (place / MODEL / LOCK).read_text():
        time.sleep(0.01)
    while delay is None and process.poll() is None and not Unfinished(place / MODEL).exists:
        time.sleep(0.01)
    time.sleep(delay or 0)
    process.kill()
    error = process.communicate()[1]
    assert process.returncode in (0, 3, -9), error
    (place / MODEL / LOCK).write_text("")  # so that the next process is seen to sign
    return process.returncode != 0


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(2, marks=pytest.mark.timeout(400)),  # at a checkpoint, and at a random instant
        pytest.param(50, marks=[pytest.mark.slow, pytest.mark.timeout(3000)]),
    ],
)
def test_killed_learn_processes(count: int, zygote: Zygote, made: Path, tmp_path: Path) -> None:
    chance, killed, resumed = random.Random(0), 0, 0
    place = Path(shutil.copytree(made, tmp_path / "0"))
    before = standing(place)
    while killed < count:
        resumed += Unfinished(place / MODEL).exists
        killed += kill_one(zygote, place, chance.uniform(0, WORKING) if killed else None)
        assert standing(place) in (before, {**before, 5: "candidate"}, {**before, 3: "accepted", 5: "current"})
        if len(standing(place)) > len(before) and not Unfinished(place / MODEL).exists:  # it was done already
            shutil.rmtree(place)
            place = Path(shutil.copytree(made, place))
    last = start(zygote, place)
    error = last.communicate()[1]
    assert last.returncode in (0, 3), error  # 3: the gate holds the candidate back
    assert open_model(place / MODEL).record(5).structures.names == ("humerus", "scapula")
    assert not Unfinished(place / MODEL).exists
    assert resumed > 0
    next_write_works(place)

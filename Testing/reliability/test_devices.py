"""``learn --devices 2`` as a person runs it: killed, paused, and resumed on another number of devices."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from faults import Command, Zygote
from operations import MODEL, standing

from IncrementalSegLib.store.unfinished import Unfinished
from IncrementalSegLib.store.versions import open_model

FEW = ("--option", "passes=2", "--option", "candidates=4", "--option", "keep=2")
LONG = 100_000
"""Optimiser steps that nobody waits for."""

SOON = 30.0
"""Seconds within which the others end."""


def begin(zygote: Zygote, place: Path, count: int, *more: str) -> Command:
    """Begin a step."""
    asked = ("--data", place / "scapula", "--structures", "scapula", "--method", "lwfseg", "--accept", "always")
    several = ("--device", "cpu", "--devices", count, "--steps", LONG, *more)
    return zygote.start(place, "learn", place / MODEL, *asked, *several, *FEW)


def children(pid: int) -> list[int]:
    """Return the processes that a process has started, in their order."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return sorted(map(int, listed.stdout.split()))


def trains(place: Path) -> None:
    """Wait until a step has been checkpointed."""
    while not Unfinished(place / MODEL).exists:
        time.sleep(0.05)


def shortened(place: Path, steps: int) -> None:
    """Let the unfinished step end soon."""
    store = Unfinished(place / MODEL)
    request, (training, tensors) = store.request(), store.training()
    training["curve"]["planned"] = training["curve"]["steps"] + steps
    store.write(request, training, tensors)


def ended(command: Command, pids: list[int]) -> tuple[int | None, str, float]:
    """Return exit status, messages and seconds until a command and its processes have ended."""
    began = time.monotonic()
    error = command.communicate()[1]
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        time.sleep(0.05)
    return command.returncode, error, time.monotonic() - began


@pytest.mark.timeout(400)
def test_a_killed_process_ends_the_others_and_the_step_goes_on_on_one_device(
    zygote: Zygote, made: Path, tmp_path: Path
) -> None:
    place = copied(made, tmp_path)
    before = standing(place)
    command = begin(zygote, place, 2)
    trains(place)
    first, second = children(command.pid)
    os.kill(second, signal.SIGKILL)
    status, error, seconds = ended(command, [first, second])
    assert (status, seconds < SOON) == (1, True)
    assert error.count("Error") == 1
    assert "Process 1 was killed (SIGKILL)" in error
    assert Unfinished(place / MODEL).kept() in error
    assert "--resume` continues the step, on any number of devices." in error
    assert standing(place) == before
    shortened(place, 2)
    resumed = zygote.start(place, "learn", place / MODEL, "--resume", "--device", "cpu")
    error = resumed.communicate()[1]
    assert resumed.returncode == 0, error
    assert open_model(place / MODEL).record().structures.names == ("humerus", "scapula")


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("count", [2, 4])
def test_a_killed_leader_and_other_numbers_of_devices(count: int, zygote: Zygote, made: Path, tmp_path: Path) -> None:
    place = copied(made, tmp_path)
    command = begin(zygote, place, 2)
    trains(place)
    pids = children(command.pid)
    os.kill(pids[0], signal.SIGKILL)
    status, error, seconds = ended(command, pids)
    assert (status, seconds < SOON) == (1, True)
    assert "Process 0 was killed (SIGKILL)" in error
    shortened(place, 2)
    resumed = zygote.start(place, "learn", place / MODEL, "--resume", "--device", "cpu", "--devices", count)
    error = resumed.communicate()[1]
    assert resumed.returncode == 0, error
    assert open_model(place / MODEL).record().structures.names == ("humerus", "scapula")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ctrl_c_pauses_once_for_all(zygote: Zygote, made: Path, tmp_path: Path) -> None:
    place = copied(made, tmp_path)
    command = begin(zygote, place, 2)
    trains(place)
    pids = children(command.pid)
    command.send_signal(signal.SIGINT)
    status, error, _ = ended(command, pids)
    assert status == 130
    assert error.count("The step is paused.") == 1
    assert error.count("Cancelled") == 1
    assert Unfinished(place / MODEL).exists


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_without_the_command_no_process_is_left(zygote: Zygote, made: Path, tmp_path: Path) -> None:
    place = copied(made, tmp_path)
    command = begin(zygote, place, 2)
    trains(place)
    pids = children(command.pid)
    command.kill()
    assert ended(command, pids)[2] < SOON


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_the_processes_refuse_is_said_once(zygote: Zygote, made: Path, tmp_path: Path) -> None:
    place = copied(made, tmp_path)
    command = begin(zygote, place, 3, "--batch", "2")
    error = command.communicate()[1]
    assert command.returncode == 1
    assert error.count("Error") == 1
    assert "A batch of 2 cannot be shared out among 3 devices." in error


def copied(made: Path, folder: Path) -> Path:
    """Return a copy of the place."""
    return Path(shutil.copytree(made, folder / "place"))

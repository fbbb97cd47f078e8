"""The processes of a step on one computer: started together, and ended together as soon as one of them ends.

Loads no torch.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType

from IncrementalSegLib.errors import DeviceError

LOST = 75
"""Exit status of a process that ends because another one has ended."""

GRACE = 10.0
"""Seconds that the first process has to end by itself when another one has ended."""

_HERE = "INCREMENTALSEG_PROCESSES"
"""Environment variable with the number of processes that :func:`run_together` started."""

_LONGEST = 1000  # characters of what a process said
_POLL = 0.05  # seconds


class LostProcessError(DeviceError):
    """Another process of the step has ended, or cannot be reached."""


def is_started_here() -> bool:
    """Return whether :func:`run_together` has started this process."""
    return _HERE in os.environ


def launcher() -> str:
    """Return the name of what starts processes for this one."""
    if is_started_here():
        return "The command"
    return "torchrun" if "TORCHELASTIC_RUN_ID" in os.environ else "srun"


def started() -> int | None:
    """Return how many processes a launcher has started for this step; ``None`` where this one is alone."""
    if is_started_here():
        return int(os.environ[_HERE])
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return _count("WORLD_SIZE")
    if "SLURM_STEP_ID" in os.environ:  # SLURM_NTASKS may be that of an allocation, in which a shell is one task
        return _count("SLURM_STEP_NUM_TASKS")
    return None


def _count(variable: str) -> int | None:
    """Return how many processes a launcher's variable tells of; ``None`` where it tells of no other one."""
    told = os.environ.get(variable, "")
    return int(told) if told.isdecimal() and int(told) > 1 else None


def speaks() -> bool:
    """Return whether this process speaks to the person: of several the first alone."""
    return started() is None or os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0")) == "0"


def watch_parent() -> None:
    """End this process as soon as the one that has started it is gone; it holds the other end of standard input."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        os._exit(LOST)

    threading.Thread(target=wait, daemon=True).start()


def run_together(arguments: Sequence[str], count: int) -> int:
    """Run the command line in several processes, one for each device, and return the exit status of the first.

    Ctrl+C reaches the first one alone, which ends the step as it does on one device.

    Args:
        arguments: What a person typed.
        count: Number of processes.

    Raises:
        DeviceError: One of them was killed or has failed, and all others have been ended.
    """
    with _started(arguments, count) as processes:
        first, *others = processes
        while first.status is None and not any(item.status for item in others):
            time.sleep(_POLL)
        _wait([first], GRACE)
        if first.status in (0, LOST):
            _wait(others, GRACE)
        statuses = [item.status for item in processes]
    if statuses[0] is not None and statuses[0] >= 0 and statuses[0] != LOST:  # it has said why
        return statuses[0]
    failed = [number for number, status in enumerate(statuses) if status not in (None, 0, LOST)]
    raise DeviceError(
        processes[failed[0]].describe(statuses[failed[0]])
        if failed
        else f"The {count} processes of the step cannot reach each other any more.",
        "Each computes a part of every batch, and none can go on alone.",
    )


class _Process:
    """One of the processes.

    Args:
        number: Its number; only the first one is heard.
        arguments: What a person typed.
        environment: Its environment.
    """

    def __init__(self, number: int, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self.number = number
        self.said = tempfile.TemporaryFile()  # noqa: SIM115  (it goes with the process)
        self.running = subprocess.Popen(  # noqa: S603  (this program again)
            [sys.executable, "-m", "IncrementalSegLib", *arguments],
            env={**environment, "LOCAL_RANK": str(number), "RANK": str(number)},
            stdin=subprocess.PIPE,
            stdout=None if number == 0 else subprocess.DEVNULL,
            stderr=None if number == 0 else self.said,
            start_new_session=True,  # so that Ctrl+C reaches it once
        )

    @property
    def status(self) -> int | None:
        """Exit status; ``None`` while it runs."""
        return self.running.poll()

    def describe(self, status: int | None) -> str:
        """Return a sentence about its end."""
        if status is not None and status < 0:
            cause = ", as the system does when memory runs out" if -status == signal.SIGKILL else ""
            return f"Process {self.number} was killed ({signal.Signals(-status).name}){cause}."
        self.said.seek(0)
        text = " ".join(self.said.read().decode(errors="replace").split()).removeprefix("Error: ")
        return f"Process {self.number} has failed: {text[-_LONGEST:] or f'status {status}.'}"

    def end(self) -> None:
        """End it, if it still runs."""
        if self.status is None:
            self.running.kill()
        self.running.wait()
        if self.running.stdin is not None:
            self.running.stdin.close()


@contextmanager
def _started(arguments: Sequence[str], count: int) -> Iterator[list[_Process]]:
    """Start processes, hand signals on to the first, and end those that are left."""
    processes: list[_Process] = []

    def hand_on(number: int, frame: FrameType | None) -> None:
        if processes:
            processes[0].running.send_signal(number)

    before = {number: signal.signal(number, hand_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        environment = _environment(count)
        processes += (_Process(number, arguments, environment) for number in range(count))
        yield processes
    finally:
        for process in processes:
            process.end()
        for number, handler in before.items():
            signal.signal(number, handler)


def _environment(count: int) -> dict[str, str]:
    """Return the environment of all processes: how many there are, where they meet, and their share of the cores."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    threads = str(max(1, (os.cpu_count() or 1) // count))
    meeting = {_HERE: str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "NODE_RANK": "0"}
    return {"OMP_NUM_THREADS": threads} | os.environ | meeting


def _wait(processes: Sequence[_Process], seconds: float) -> None:
    """Wait until processes have ended, but no longer than some seconds."""
    until = time.monotonic() + seconds
    while any(item.status is None for item in processes) and time.monotonic() < until:
        time.sleep(_POLL)

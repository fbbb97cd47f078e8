"""Free memory, and the refusal of scans that do not fit into it."""

from __future__ import annotations

import ctypes
import math
import os
from collections.abc import Iterator
from pathlib import Path

from IncrementalSegLib.errors import DataError

PIPELINE_BYTES = 16
"""Bytes per voxel that resampling, normalising and predicting a scan need beside the scan itself."""
_CGROUPS = Path("/sys/fs/cgroup")
_UNLIMITED = 1 << 60
"""A limit of control groups above this one is none."""


def require_memory(
    name: str,
    voxels: int,
    itemsize: int,
    why: str = "Its header may be damaged.",
    todo: str = "Check the size that the header gives, close other programs, or crop or resample the scan.",
) -> None:
    """Refuse a scan that the whole way from reading to the result cannot hold, before anything is allocated.

    Args:
        name: Name of the file, for the message.
        voxels: Number of samples, of all channels.
        itemsize: Bytes of one sample.
        why: What may have made it so large.
        todo: What to do next.

    Raises:
        DataError: The free memory is smaller than what the scan needs.
    """
    free = free_memory()
    needed = voxels * (itemsize + PIPELINE_BYTES)
    if free is not None and needed > free:
        raise DataError(
            f"{name} needs {bytes_text(needed)} of memory for its {voxels:.3g} voxels; this machine has "
            f"{bytes_text(free)} free.",
            why,
            todo,
        )


def free_memory() -> int | None:
    """Return the bytes that this process can still use, within its control group; ``None`` where nobody can tell."""
    known = [count for count in (_of_machine(), *_of_groups()) if count is not None]
    return min(known) if known else None


def total_memory() -> int | None:
    """Return the bytes of this machine; ``None`` where nobody can tell."""
    if os.name == "nt":
        status = _windows_memory()
        return None if status is None else int(status.total)
    if "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def bytes_text(count: int) -> str:
    """Return a number of bytes with a unit: ``4_000_000_000`` -> ``"4 GB"``."""
    power = min(5, max(0, int(math.log(max(1, count), 1000))))
    return f"{count / 1000**power:.3g} {('bytes', 'kB', 'MB', 'GB', 'TB', 'PB')[power]}"


def _of_machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        pass
    if os.name == "nt":
        status = _windows_memory()
        return None if status is None else int(status.available)
    return total_memory()  # macOS gives only what there is in all


class _WindowsMemory(ctypes.Structure):
    """``MEMORYSTATUSEX`` of Windows."""

    _fields_ = (
        ("length", ctypes.c_uint32),
        ("load", ctypes.c_uint32),
        ("total", ctypes.c_uint64),
        ("available", ctypes.c_uint64),
        ("others", ctypes.c_uint64 * 5),
    )


def _windows_memory() -> _WindowsMemory | None:
    status = _WindowsMemory(ctypes.sizeof(_WindowsMemory))
    kernel = getattr(ctypes, "windll").kernel32  # noqa: B009  # unknown to mypy elsewhere
    return status if kernel.GlobalMemoryStatusEx(ctypes.byref(status)) else None


def _of_groups() -> Iterator[int]:
    """Yield what is left below each limit of the control groups of this process (Linux, both versions)."""
    try:
        lines = Path("/proc/self/cgroup").read_text("utf-8").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        _, controllers, place = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        root = _CGROUPS / controllers
        names = ("limit_in_bytes", "usage_in_bytes") if controllers else ("max", "current")
        group = root / place.strip("/")
        for folder in (group, *group.parents):
            left = _left(folder, *names)
            if left is not None:
                yield left
            if folder == root:
                break


def _left(group: Path, limit: str, usage: str) -> int | None:
    """Return limit minus usage of one group; pages of files that can be dropped do not count as used."""
    try:
        most = int((group / f"memory.{limit}").read_text("ascii"))
        used = int((group / f"memory.{usage}").read_text("ascii"))
        table = dict(line.split() for line in (group / "memory.stat").read_text("ascii").splitlines())
        return None if most > _UNLIMITED else max(0, most - used + int(table.get("inactive_file", 0)))
    except (OSError, ValueError):  # no limit is the word "max"
        return None

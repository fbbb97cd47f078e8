"""The ways to the PyTorch that fits a computer, in the order in which they are tried."""

from __future__ import annotations

from pathlib import Path

from IncrementalSegPanel.environment.Environment import BUILDS, TORCH
from IncrementalSegPanel.environment.Machine import Machine

_CUDA = ((580, "cu130"), (525, "cu128"), (525, "cu126"))
"""NVIDIA driver that a build needs at least (CUDA 12 runs on every driver of CUDA 12), newest build first."""

Way = tuple[str, list[str]]
"""Module of Python that installs, and its arguments."""


def builds(machine: Machine) -> list[str]:
    """Return the names of the builds that the driver of a computer can use; without a card that of the processor."""
    drivers = [int(gpu.driver.partition(".")[0]) for gpu in machine.gpus or () if gpu.driver[:1].isdigit()]
    if machine.system == "Darwin" or not drivers:
        return ["cpu"]
    return [name for least, name in _CUDA if min(drivers) >= least]


def ways(machine: Machine, constraints: Path) -> list[Way]:
    """Return what installs PyTorch; each is tried until one has really brought it.

    The PyTorch extension's helper light-the-torch, where it is there already, is first: it knows more graphics cards.
    It is never installed here, because it replaces pip by an older one.

    Args:
        machine: The computer.
        constraints: File of versions that must not change.
    """
    kept = ["--constraint", str(constraints)]
    found: list[Way] = []
    if machine.lightTheTorch:
        found.append(("light_the_torch", ["install", str(TORCH), *kept]))
    indexes = (f"{BUILDS}/{build}" for build in builds(machine))
    return [*found, *(("pip", ["install", str(TORCH), "--index-url", index, *kept]) for index in indexes)]

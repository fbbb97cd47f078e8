"""This computer, as far as it decides what can be installed and how fast it will be."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

GPU_QUERY = ("--query-gpu=name,driver_version,memory.total", "--format=csv,noheader,nounits")
"""Arguments of ``nvidia-smi``."""


@dataclass(frozen=True)
class Gpu:
    """An NVIDIA graphics card.

    Attributes:
        name: As the driver calls it.
        driver: Version of the driver.
        memory: In GB.
    """

    name: str
    driver: str
    memory: float

    @classmethod
    def read(cls, text: str) -> tuple[Gpu, ...]:
        """Return the cards in what ``nvidia-smi`` prints for :data:`GPU_QUERY`; lines of another form are skipped."""
        rows = [[cell.strip() for cell in line.split(",")] for line in text.splitlines()]
        return tuple(cls(row[0], row[1], int(row[2]) / 1024) for row in rows if len(row) == 3 and row[2].isdigit())


@dataclass(frozen=True)
class Machine:
    """This computer and the Slicer on it.

    Attributes:
        system: ``Linux``, ``Windows`` or ``Darwin`` (macOS).
        processor: As Python calls it: ``x86_64``, ``AMD64``, ``arm64``.
        avx: Whether the processor has the vector instructions that PyTorch needs.
        free: GB free where packages are installed.
        writable: Whether packages can be written there.
        packaging: Whether this Slicer can install packages while it stays free (5.12 or newer).
        lightTheTorch: Whether the helper of the PyTorch extension is there.
        python: Command that starts Slicer's Python.
        gpus: NVIDIA cards, or ``None`` while they are being looked for.
    """

    system: str
    processor: str
    avx: bool
    free: float
    writable: bool
    packaging: bool
    lightTheTorch: bool
    python: str
    gpus: tuple[Gpu, ...] | None = None

    @classmethod
    def here(cls) -> Machine:
        """Look at this computer; the graphics card takes seconds and is left to the caller."""
        packages = sysconfig.get_paths()["platlib"]
        return cls(
            system=platform.system(),
            processor=platform.machine(),
            avx=_hasAvx(),
            free=shutil.disk_usage(packages).free / 1e9,
            writable=os.access(packages, os.W_OK),
            packaging=found("slicer.packaging"),
            lightTheTorch=found("light_the_torch"),
            python=shutil.which("PythonSlicer") or "PythonSlicer",
        )


def found(module: str) -> bool:
    """Return whether a module could be imported, without importing it."""
    try:
        return module in sys.modules or find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _hasAvx() -> bool:
    """Return whether the processor has AVX; yes where that does not matter or cannot be found out."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return True
    if platform.system() == "Windows":
        import ctypes

        kernel = getattr(ctypes, "windll").kernel32  # noqa: B009  # unknown to mypy elsewhere
        return bool(kernel.IsProcessorFeaturePresent(39))  # PF_AVX_INSTRUCTIONS_AVAILABLE
    try:
        return "avx" in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").split()
    except OSError:
        return True

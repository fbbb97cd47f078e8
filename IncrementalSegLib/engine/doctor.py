"""The abilities of a computer, and the facts that a report of a fault needs."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from pathlib import Path

import torch

from IncrementalSegLib.engine.process import low_priority
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.errors import DeviceError
from IncrementalSegLib.registry import discover, names
from IncrementalSegLib.store.record import library_versions
from IncrementalSegLib.types import Json
from IncrementalSegLib.volumes.memory import free_memory, total_memory

_LISTS = ("method", "network", "descriptor")
TOLERANCE = 0.05
"""Relative error that bf16 may have against float32 in one convolution."""


def examine() -> Json:
    """Return versions, device, precision, disk, and warnings in plain English.

    Returns:
        ``libraries``, ``system``, ``device`` (its name), ``kind`` (``cpu`` or ``cuda``), ``memory_gb`` and
        ``memory_free_gb`` (of the GPU, else of the computer; null where that is not known), ``precision``,
        ``threads``, ``nice`` (0 for the normal priority, else how low it is), ``disk_free_gb``, ``convolution_error``,
        ``methods``, ``broken`` (files of the library or of an addition that cannot be loaded, each with the reason) and
        ``warnings``.  Without a device that can be used only ``libraries`` and ``warnings``.
    """
    warnings: list[str] = []
    try:
        runtime = start("auto")
    except DeviceError as error:
        return {"libraries": library_versions(), "warnings": [str(error)]}
    if runtime.device.type == "cpu":
        warnings.append("No CUDA GPU is used: the quick preset takes minutes here, the others hours.")
    if os.environ.get("OMP_WAIT_POLICY", "").upper() != "PASSIVE":
        warnings.append("OMP_WAIT_POLICY is not PASSIVE: training may become far slower when other work runs.")
    deviation = _convolution_error(runtime.device)
    if deviation > TOLERANCE:
        warnings.append(f"A bf16 convolution differs from float32 by {deviation:.0%}: update the GPU driver or torch.")
    nice = low_priority()
    if nice:
        warnings.append(
            f"The priority of this process is low (nice {nice}): while other programs compute, everything takes longer."
        )
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    if free < 2:
        warnings.append(f"Only {free:.1f} GB of disk are free here.")
    total, available = _memory_gb(runtime.device)
    broken = {f"{kind} file {file}": why for kind in _LISTS for file, why in discover(kind).items()}
    warnings += [f"The {file} could not be loaded: {why}" for file, why in broken.items()]
    return {
        "libraries": library_versions(),
        "system": f"{platform.system()} {platform.release()}, Python {sys.version.split()[0]}",
        "device": runtime.name,
        "kind": runtime.device.type,
        "memory_gb": total,
        "memory_free_gb": available,
        "precision": runtime.precision,
        "threads": torch.get_num_threads(),
        "nice": nice,
        "disk_free_gb": round(free, 1),
        "convolution_error": round(deviation, 5),
        "methods": names("method"),
        "broken": broken,
        "warnings": warnings,
    }


def _memory_gb(device: torch.device) -> tuple[float | None, float | None]:
    """Return all memory and what this process can use of it in GB, of a GPU or of the computer."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return _gb(total), _gb(free)
    return _gb(total_memory()), _gb(free_memory())


def _gb(count: int | None) -> float | None:
    return None if count is None else round(count / 1e9, 1)


def _convolution_error(device: torch.device) -> float:
    """Return the relative error of a bf16 3-D convolution: some versions of torch and cuDNN compute it wrongly."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, 8, 24, 24, 24, generator=generator).to(device)
    kernel = torch.randn(8, 8, 3, 3, 3, generator=generator).to(device)
    exact = torch.nn.functional.conv3d(image, kernel, padding=1)
    rough = torch.nn.functional.conv3d(image.bfloat16(), kernel.bfloat16(), padding=1).float()
    return float((exact - rough).norm() / exact.norm())

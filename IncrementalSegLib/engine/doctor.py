"""Look at the machine: what a person should know before training, and what a report of a fault needs."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from pathlib import Path

import torch

from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.errors import DeviceError
from IncrementalSegLib.registry import discover, names
from IncrementalSegLib.store.record import library_versions
from IncrementalSegLib.types import Json

_TOLERANCE = 0.05  # relative error that bf16 may have against float32 in one convolution


def examine() -> Json:
    """Return versions, device, precision, disk, and warnings in plain words.

    Returns:
        ``{"libraries", "system", "device", "precision", "threads", "disk_free_gb", "convolution_error",
        "methods", "warnings"}``.
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
    if deviation > _TOLERANCE:
        warnings.append(f"A bf16 convolution differs from float32 by {deviation:.0%}: update the GPU driver or torch.")
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    if free < 2:
        warnings.append(f"Only {free:.1f} GB of disk are free here.")
    for kind in ("method", "network", "descriptor"):
        warnings += [f"The {kind} file {file} could not be loaded: {why}" for file, why in discover(kind).items()]
    return {
        "libraries": library_versions(),
        "system": f"{platform.system()} {platform.release()}, Python {sys.version.split()[0]}",
        "device": runtime.name,
        "precision": runtime.precision,
        "threads": torch.get_num_threads(),
        "disk_free_gb": round(free, 1),
        "convolution_error": round(deviation, 5),
        "methods": names("method"),
        "warnings": warnings,
    }


def _convolution_error(device: torch.device) -> float:
    """Return the relative error of a bf16 3-D convolution: some versions of torch and cuDNN compute it wrongly."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, 8, 24, 24, 24, generator=generator).to(device)
    kernel = torch.randn(8, 8, 3, 3, 3, generator=generator).to(device)
    exact = torch.nn.functional.conv3d(image, kernel, padding=1)
    rough = torch.nn.functional.conv3d(image.bfloat16(), kernel.bfloat16(), padding=1).float()
    return float((exact - rough).norm() / exact.norm())

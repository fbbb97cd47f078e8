"""Peak memory and CPU time of segmenting a large scan: ``python -m Testing.benchmarks.memory OUT.json``.

The scan is a made-up CT, the model a 3-D one at 3 mm.  The command runs in a process of its own, so that the peak
includes its libraries; a small scan tells how much these need alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import typer

from IncrementalSegLib.cli.output import print_table
from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.errors import IncrementalSegError, OptionError
from IncrementalSegLib.files import write_json
from IncrementalSegLib.sampling.cases import Case, Dataset
from IncrementalSegLib.structures import StructureSpec
from IncrementalSegLib.types import Json
from IncrementalSegLib.volumes.io import write_volume
from IncrementalSegLib.volumes.volume import Grid, Vector3, Volume
from Testing.benchmarks.command import run_command

_FIELD = (512.0, 512.0, 600.0)  # mm along x, y, z; a scan may be 3 times finer than its model
_MODEL_SPACING = 3.0
_SMALL = (32, 32, 32)
_FAMILIES = ("finetune", "finetune-softmax")
_STARTER = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(status, usage.ru_maxrss, usage.ru_utime + usage.ru_stime)
"""


def main(
    out: Annotated[Path, typer.Argument(metavar="FILE", help="JSON file to write.")],
    size: Annotated[tuple[int, int, int], typer.Option(metavar="X Y Z", help="Voxels of the scan.")] = (512, 512, 600),
    structures: Annotated[int, typer.Option(min=1, metavar="N", help="Structures of the model.")] = 10,
) -> None:
    """Peak memory of segmenting a large scan, in both families; bytes per voxel are those beyond the libraries."""
    runs = [measure_memory(size, structures, method) for method in _FAMILIES]
    write_json(out, {"runs": runs})
    columns = ("method", "peak GB", "bytes a voxel", "CPU s")
    rows = [
        (run["method"], f"{run['peak_bytes'] / 1e9:.2f}", run["bytes_per_voxel"], run["cpu_seconds"]) for run in runs
    ]
    print_table("Segmenting " + " x ".join(map(str, size)), columns, rows)


def measure_memory(size: tuple[int, int, int], structures: int, method: str) -> Json:
    """Measure the segmentation of a scan of ``size`` voxels along x, y, z by a model that was trained for one step.

    Raises:
        OptionError: The operating system does not say what a process needed.
        IncrementalSegError: The segmentation failed.
    """
    if not hasattr(os, "wait4"):
        raise OptionError("This system does not tell the peak memory of a process.", todo="Measure on Linux or macOS.")
    with TemporaryDirectory() as name:
        folder = Path(name)
        _write_scan(folder / "large.nii.gz", size, (_FIELD[0] / size[0], _FIELD[1] / size[1], _FIELD[2] / size[2]))
        _write_scan(folder / "small.nii.gz", _SMALL, (_MODEL_SPACING,) * 3)
        _teach(folder, structures, method)
        (libraries, idle), (peak, busy) = (_segment(folder, scan) for scan in ("small", "large"))
    return {
        "size": list(size),
        "structures": structures,
        "method": method,
        "peak_bytes": peak,
        "libraries_bytes": libraries,
        "bytes_per_voxel": round((peak - libraries) / int(np.prod(size)), 2),
        "cpu_seconds": round(busy - idle, 1),
    }


def _write_scan(path: Path, size: tuple[int, int, int], spacing: Vector3) -> None:
    """Write a cylinder with slabs of different intensity in air, as int16."""
    z, y, x = np.ogrid[: size[2], : size[1], : size[0]]
    body = ((x / size[0] - 0.5) ** 2 + (y / size[1] - 0.5) ** 2 < 0.16) & (z >= 0)
    scan = np.full(size[::-1], -1000, dtype=np.int16)
    np.copyto(scan, (z * 12 // size[2] * 100 - 400).astype(np.int16), where=body)
    write_volume(path, Volume(scan[np.newaxis], Grid((size[2], size[1], size[0]), spacing)))


def _teach(folder: Path, structures: int, method: str) -> None:
    """Make a model whose structures are slabs of the small scan, in one step."""
    labels = np.zeros(_SMALL, dtype=np.uint8)
    for value in range(1, structures + 1):
        labels[value * _SMALL[0] // (structures + 2)] = value
    write_volume(folder / "label.nii.gz", Volume(labels[np.newaxis], Grid(_SMALL, (_MODEL_SPACING,) * 3)))
    names = [f"structure {value}" for value in range(1, structures + 1)]
    values = {name: (value,) for value, name in enumerate(names, 1)}
    case = Case("small", "small", (folder / "small.nii.gz",), frozenset(names), folder / "label.nii.gz", values)
    data = Dataset("slabs", folder, tuple(names), (case,))
    requests = [StructureSpec(name, name) for name in names]
    learn(folder / "model", data, requests, method=method, network="unet3d", steps=1, exemplars="none", device="cpu")


def _segment(folder: Path, scan: str) -> tuple[int, float]:
    """Return the peak memory of a segmentation in bytes, and its CPU time in seconds."""
    source, target = folder / f"{scan}.nii.gz", folder / f"{scan}.seg.nrrd"
    command = [sys.executable, "-m", "IncrementalSegLib", "segment", str(folder / "model"), str(source)]
    # Linux counts what the starting process held, so that a small one has to start it.
    told = subprocess.run(
        [sys.executable, "-c", _STARTER, *command, "--output", str(target), "--device", "cpu"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    status, peak, seconds = int(told[0]), int(told[1]), float(told[2])
    if status or not target.is_file():
        raise IncrementalSegError(f"The segmentation of the {scan} scan failed with status {status}.")
    unit = 1 if sys.platform == "darwin" else 1024
    return peak * unit, seconds


if __name__ == "__main__":
    run_command(main)

"""Procedural shoulder-like MR volumes for the demonstration, the tests and the benchmarks.

A person is decided by the seed alone, a scanner is data: the same seed on two scanners is the same person
with another contrast, noise, bias field and field of view.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from IncrementalSegLib.errors import DataError, OptionError, UnknownNameError
from IncrementalSegLib.files import plain_errors, temporary_sibling, write_json
from IncrementalSegLib.sampling.phantom_anatomy import Array, Part, SmoothNoise, shoulder
from IncrementalSegLib.types import Json
from IncrementalSegLib.volumes.io import write_volume
from IncrementalSegLib.volumes.volume import Grid, Volume

Mask = NDArray[np.bool_]

STRUCTURES = (
    "humerus",
    "scapula",
    "clavicle",
    "deltoid",
    "supraspinatus",
    "infraspinatus",
    "subscapularis",
)
"""Structures that can be outlined in a phantom."""


@dataclass(frozen=True)
class Scanner:
    """Contrast, noise and resolution of a scanner.

    Attributes:
        contrast: Tissue -> signal, about 0..1.
        noise: Deviation of the Rician noise, in the same unit.
        bias: Deviation of the logarithm of the bias field.
        blur: Deviation of the in-plane point spread in mm.
        field: Field of view along x, y, z in mm.
        size: Samples along D, H, W where no other size is asked for.
        gain: Stored value of signal 1.
    """

    contrast: Mapping[str, float]
    noise: float
    bias: float
    blur: float
    field: tuple[float, float, float] = (172.8, 172.8, 96.0)
    size: tuple[int, int, int] = (24, 96, 96)
    gain: float = 1000.0


_T1 = {
    "air": 0.0,
    "skin": 0.42,
    "fat": 0.92,
    "muscle": 0.36,
    "cortical bone": 0.06,
    "marrow": 0.78,
    "cartilage": 0.50,
    "vessel": 0.10,
    "lung": 0.05,
}
_PARTLY_SUPPRESSED = {
    "air": 0.0,
    "skin": 0.41,
    "fat": 0.57,
    "muscle": 0.44,
    "cortical bone": 0.055,
    "marrow": 0.53,
    "cartilage": 0.63,
    "vessel": 0.47,
    "lung": 0.045,
}

SCANNERS: Mapping[str, Scanner] = {
    "A": Scanner(_T1, noise=0.03, bias=0.10, blur=0.7),
    "B": Scanner(
        _T1 | {"fat": 0.86, "marrow": 0.72, "muscle": 0.34},
        noise=0.045,
        bias=0.18,
        blur=0.9,
        field=(187.2, 187.2, 100.8),
        gain=640.0,
    ),
    "C": Scanner(_PARTLY_SUPPRESSED, noise=0.04, bias=0.15, blur=0.8, gain=420.0),
}
"""A: T1-weighted, the reference.  B: the same family, noisier.  C: intermediate weighting with weak fat suppression.

The contrast of C was fixed by measurement: after learning on C with no scan of A, finetuning has lost more than half
of what it knew on A and LwfSeg 10 to 60 % (Case 3 of the benchmark).
"""


def phantom_case(
    seed: int | Sequence[int],
    scanner: str,
    size: tuple[int, int, int] | None = None,
    structures: Sequence[str] = ("humerus", "scapula"),
) -> tuple[Volume, dict[str, Mask]]:
    """Make one person's scan and the masks of the structures asked for.

    Args:
        seed: Decides the person, and with the scanner the noise.
        scanner: Name in :data:`SCANNERS`.
        size: Samples along D, H, W over the scanner's field of view; its own by default.
        structures: Names in :data:`STRUCTURES`.

    Returns:
        The volume (1, D, H, W) int16 and, by name, masks (D, H, W) that do not overlap.

    Raises:
        UnknownNameError: There is no such scanner or structure.
    """
    machine = _scanner(scanner)
    for name in structures:
        if name not in STRUCTURES:
            raise UnknownNameError("structure of the phantom", name, STRUCTURES)
    grid = _grid(machine, size or machine.size)
    axes = _axes(grid)
    person, acquisition = np.random.SeedSequence(seed).spawn(2)
    generator = np.random.default_rng(person)
    parts = shoulder(axes, generator)
    signal = _paint(parts, machine, grid, SmoothNoise(axes, generator))
    owner = np.zeros(grid.shape, np.uint8)
    for number, part in enumerate(parts, start=1):
        owner[part.distance < 0] = number
    masks = {name: np.isin(owner, [i for i, part in enumerate(parts, 1) if part.name == name]) for name in structures}
    noise_of_scan = np.random.default_rng([*acquisition.generate_state(2).tolist(), *scanner.encode()])
    array = _acquire(signal, machine, grid, noise_of_scan)
    return Volume(array[None], grid), masks


def write_phantom_dataset(
    folder: str | Path,
    cases: int,
    scanner: str,
    structures: Sequence[str],
    seed: int,
    size: tuple[int, int, int] | None = None,
) -> Path:
    """Write a Medical Segmentation Decathlon folder in which only ``structures`` were outlined.

    The names of the cases contain seed and scanner, so that different people have different names.

    Args:
        folder: Folder to create.
        cases: Number of people.
        scanner: Name in :data:`SCANNERS`.
        structures: Names in :data:`STRUCTURES`; the label map holds 1, 2, ... in this order.
        seed: Other seeds give other people.
        size: Samples along D, H, W; the scanner's own by default.

    Returns:
        The folder.

    Raises:
        DataError: The folder exists already or cannot be written.
        OptionError: No case or no structure is asked for.
        UnknownNameError: There is no such scanner or structure.
    """
    folder = Path(folder)
    if cases < 1 or not structures:
        raise OptionError(
            f"A phantom data set of {cases} cases with {len(structures)} structures cannot be written.",
            todo="Ask for at least one case and one structure.",
        )
    if folder.exists():
        raise DataError(f"{folder} exists already.", todo="Remove it or choose another folder.")
    temporary = temporary_sibling(folder)
    try:
        entries = [
            _write_case(temporary, number, phantom_case((seed, number), scanner, size, structures), f"{scanner}_{seed}")
            for number in range(cases)
        ]
        write_json(temporary / "dataset.json", _description(scanner, structures, entries))
        with plain_errors(folder, error=DataError):
            temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return folder


def _scanner(name: str) -> Scanner:
    if name not in SCANNERS:
        raise UnknownNameError("scanner", name, SCANNERS)
    return SCANNERS[name]


def _grid(machine: Scanner, size: tuple[int, int, int]) -> Grid:
    samples = size[::-1]
    x, y, z = (extent / count for extent, count in zip(machine.field, samples, strict=True))
    first = [-0.5 * step * (count - 1) for step, count in zip((x, y, z), samples, strict=True)]
    return Grid(size, (x, y, z), (first[0], first[1], first[2]))


def _axes(grid: Grid) -> list[NDArray[np.floating[Any]]]:
    """Return positions along z, y, x in mm."""
    order = zip(grid.origin[::-1], grid.spacing[::-1], grid.shape, strict=True)
    return [start + step * np.arange(count) for start, step, count in order]


def _paint(parts: Sequence[Part], machine: Scanner, grid: Grid, noise: SmoothNoise) -> Array:
    """Return the signal of the tissues: soft edges, fibres in the muscles, patches of red marrow."""
    edge = np.float32(1.1 * grid.spacing[0])
    signal = np.full(grid.shape, machine.contrast["air"], np.float32)
    fibres, patches, lobules = noise.field(6.0), noise.field(11.0), noise.field(9.0)
    septa = np.exp(-np.square(noise.field(13.0) / 0.09))  # thin sheets where a field crosses zero
    fat, muscle = machine.contrast["fat"], machine.contrast["muscle"]
    texture = {
        "muscle": muscle * (1.0 + 0.07 * fibres) + 0.22 * (fat - muscle) * septa,
        "marrow": machine.contrast["marrow"] * (1.0 - 0.09 * np.maximum(patches, -1.0)),
        "fat": fat * (1.0 + 0.05 * lobules),
    }
    for part in parts:
        cover = np.clip(np.float32(0.5) - part.distance / edge, 0.0, 1.0)
        if part.tissue == "muscle":
            fascia = np.clip(1.0 - np.abs(part.distance + 0.3) / edge, 0.0, 1.0) * np.float32(0.5)
            signal += fascia * (np.float32(0.75 * fat + 0.25 * muscle) - signal)
            cover = np.clip(cover - fascia, 0.0, 1.0)
        signal += cover * (texture.get(part.tissue, np.float32(machine.contrast[part.tissue])) - signal)
    return signal


def _acquire(signal: Array, machine: Scanner, grid: Grid, generator: np.random.Generator) -> NDArray[np.int16]:
    x, y, _ = grid.spacing
    blurred = gaussian_filter(signal, (0.0, machine.blur / y, machine.blur / x))
    bias = SmoothNoise(_axes(grid), generator).field(70.0)
    blurred = blurred * np.exp(np.float32(machine.bias) * bias)
    real, imaginary = (generator.standard_normal(grid.shape, np.float32) * machine.noise for _ in range(2))
    return np.asarray(np.rint(np.hypot(blurred + real, imaginary) * machine.gain), np.int16)


def _write_case(folder: Path, number: int, case: tuple[Volume, dict[str, Mask]], name: str) -> dict[str, str]:
    volume, masks = case
    labels = np.zeros((1, *volume.grid.shape), np.uint8)
    for value, mask in enumerate(masks.values(), start=1):
        labels[0, mask] = value
    file = f"shoulder_{name}_{number:03d}.nii.gz"
    write_volume(folder / "imagesTr" / file, volume)
    write_volume(folder / "labelsTr" / file, volume.with_array(labels))
    return {"image": f"./imagesTr/{file}", "label": f"./labelsTr/{file}"}


def _description(scanner: str, structures: Sequence[str], entries: Sequence[Mapping[str, str]]) -> Json:
    labels = {"0": "background"} | {str(value): name for value, name in enumerate(structures, start=1)}
    return {
        "name": f"phantom shoulder, scanner {scanner}",
        "description": "Procedural volumes; no patient. Only the structures in labels were outlined.",
        "modality": {"0": "MRI"},
        "labels": labels,
        "numTraining": len(entries),
        "training": list(entries),
    }

"""Phantom data sets that several processes of a benchmark share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from IncrementalSegLib.sampling.cases import Dataset
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.sampling.phantom import write_phantom_dataset


def phantoms(
    store: Path,
    cases: int,
    scanner: str,
    structures: Sequence[str],
    people: int,
    size: tuple[int, int, int] | None = None,
) -> Dataset:
    """Return a phantom data set, written on the first call.

    Args:
        store: Folder for phantoms; several processes may share it.
        cases: Number of people.
        scanner: Name of the scanner.
        structures: What is outlined.
        people: Other numbers give other people.
        size: Samples along D, H, W; the scanner's own by default.
    """
    side = "" if size is None else f"-{size[1]}"
    name = f"{scanner}{side}-{'-'.join(structures)}-{people}-{cases}"
    store.mkdir(parents=True, exist_ok=True)
    with FileLock(store / f"{name}.lock"):
        if not (store / name).is_dir():
            write_phantom_dataset(store / name, cases, scanner, structures, people, size)
    return open_data(store / name)

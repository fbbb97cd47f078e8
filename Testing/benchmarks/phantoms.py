"""Phantoms for protocols, written once and shared by processes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from IncrementalSegLib.sampling.cases import Dataset
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.sampling.phantom import write_phantom_dataset

PEOPLE = 1000
"""Most people in a group of phantoms; groups begin at multiples of it."""


def phantoms(
    store: Path, cases: int, scanner: str, structures: Sequence[str], people: int, size: tuple[int, int, int] | None
) -> Dataset:
    """Return a phantom data set, written on the first call; other numbers of people are other people."""
    side = "" if size is None else f"-{size[1]}"
    name = f"{scanner}{side}-{'-'.join(structures)}-{people}-{cases}"
    store.mkdir(parents=True, exist_ok=True)
    with FileLock(store / f"{name}.lock"):
        if not (store / name).is_dir():
            write_phantom_dataset(store / name, cases, scanner, structures, people, size)
    return open_data(store / name)

"""The command line in this process, a data set and a model that has learned one structure of it."""

from __future__ import annotations

import json
import logging
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scans import write_dataset

from IncrementalSegLib.cli.app import main
from IncrementalSegLib.structures import Structure
from IncrementalSegLib.volumes.io import read_volume
from IncrementalSegLib.volumes.seg_nrrd import write_seg_nrrd

FEW = ("--option", "passes=2", "--option", "candidates=4", "--option", "keep=2")
"""Options that make remembering quick."""


@dataclass(frozen=True)
class Said:
    """What a command left: exit status, standard output, standard error."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on standard output."""
        (line,) = self.out.splitlines()
        found: dict[str, Any] = json.loads(line)
        return found


Command = Callable[..., Said]


@pytest.fixture
def command(capsys, monkeypatch) -> Iterator[Command]:
    """Return a function that runs a command and returns what it left."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def run(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["incrementalseg", *map(str, arguments)])
        capsys.readouterr()
        status = 0
        try:
            main()
        except SystemExit as end:
            status = int(end.code or 0)
        return Said(status, *capsys.readouterr())

    yield run
    root.handlers[:], root.level = handlers, level


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    """Return a Decathlon folder with five cases of liver and spleen; not to be changed."""
    return write_dataset(tmp_path_factory.mktemp("cli") / "data")


@pytest.fixture(scope="session")
def taught(tmp_path_factory, data) -> Path:
    """Return a model that knows the liver; not to be changed."""
    from IncrementalSegLib.engine.learn import learn

    folder = tmp_path_factory.mktemp("cli") / "model"
    learn(folder, data, "liver", steps=3, options=dict(pair.split("=") for pair in FEW[1::2]), device="cpu")
    return folder


@pytest.fixture
def model(taught, tmp_path) -> Path:
    """Return a copy of :func:`taught` that may be changed."""
    return Path(shutil.copytree(taught, tmp_path / "model"))


@pytest.fixture
def scan(data) -> Path:
    """Return one scan of the data."""
    return data / "images" / "c0.nii.gz"


@pytest.fixture
def grid(scan):
    """Return the grid of :func:`scan`."""
    return read_volume(scan).grid


@pytest.fixture
def draw(tmp_path, grid):
    """Return a function that writes strokes: name -> voxels."""

    def written(own=grid, **strokes):
        masks = {name: np.zeros(own.shape, bool) for name in strokes}
        for name, voxels in strokes.items():
            masks[name][voxels] = True
        path = tmp_path / "strokes.seg.nrrd"
        write_seg_nrrd(path, masks, own, [replace(Structure.create(name, 1), id=name) for name in strokes])
        return path

    return written

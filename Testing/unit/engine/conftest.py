"""A small model on the disk, taught once for all tests of this folder."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from tiny import FEW, small_quick

from IncrementalSegLib.engine.correct import correct
from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.engine.step import trainer
from IncrementalSegLib.sampling.phantom import write_phantom_dataset
from IncrementalSegLib.structures import Structure
from IncrementalSegLib.volumes.io import read_volume
from IncrementalSegLib.volumes.seg_nrrd import write_seg_nrrd

SIZE = (6, 32, 32)


@pytest.fixture(scope="module")
def small_presets():
    """Make the preset quick tiny, in 2-D and 3-D."""
    with small_quick():
        yield


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    """Phantoms: humerus (3 people), scapula (3 others), both (5 others)."""
    folder = tmp_path_factory.mktemp("data")
    write_phantom_dataset(folder / "humerus", 3, scanner="A", structures=["humerus"], seed=1, size=SIZE)
    write_phantom_dataset(folder / "scapula", 3, scanner="A", structures=["scapula"], seed=2, size=SIZE)
    write_phantom_dataset(folder / "both", 5, scanner="A", structures=["humerus", "scapula"], seed=3, size=SIZE)
    return folder


@pytest.fixture
def interrupted(monkeypatch):
    """Interrupt a step of a method at an update, counted from 1; the updates before have left checkpoints."""

    @contextmanager
    def at(kind, number):
        calls, real = [], kind.after_update

        def after_update(method, ctx):
            calls.append(1)
            if len(calls) == number:
                raise KeyboardInterrupt
            real(method, ctx)

        with monkeypatch.context() as patch:
            patch.setattr(trainer, "CHECKPOINT_SECONDS", -1.0)
            patch.setattr(kind, "after_update", after_update)
            with pytest.raises(KeyboardInterrupt):
                yield

    return at


@pytest.fixture
def teach(small_presets):
    """Learn in two optimiser steps."""

    def step(model, data, structures, **more):
        settings = {"options": FEW, "preset": "quick", "steps": 2, "device": "cpu"}
        return learn(model, data, structures, **(settings | more))

    return step


@pytest.fixture(scope="session")
def taught(data, tmp_path_factory) -> Path:
    """A model that knows the humerus; do not write to it."""
    model = tmp_path_factory.mktemp("taught") / "model"
    with small_quick():
        learn(model, data / "humerus", "humerus", options=FEW, preset="quick", steps=2, seed=4, device="cpu")
    return model


@pytest.fixture
def model(taught, tmp_path) -> Path:
    """A copy of it that may be changed."""
    return Path(shutil.copytree(taught, tmp_path / "model"))


@pytest.fixture
def scans(data) -> list[Path]:
    """Scans that taught nothing."""
    return sorted((data / "scapula" / "imagesTr").iterdir())


@pytest.fixture
def round_of(model, tmp_path):
    """Return a function that does a round of two optimiser steps on a scan."""

    def act(scan, voxels=((2, 3, 4),), background=((0, 0, 0),), of=model, **more):
        grid = read_volume(scan).grid
        masks = {name: np.zeros(grid.shape, bool) for name in ("humerus", "background")}
        for name, places in (("humerus", voxels), ("background", background)):
            for place in places:
                masks[name][place] = True
        strokes = tmp_path / "strokes.seg.nrrd"
        write_seg_nrrd(strokes, masks, grid, [Structure(name, name, 1, (255, 0, 0)) for name in masks])
        settings = {"method": "lwfseg", "steps": 2, "overwrite": True, "device": "cpu"} | more
        return correct(of, scan, strokes, tmp_path / "corrected.seg.nrrd", **settings)

    return act

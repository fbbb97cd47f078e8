"""The scans behind the gate's error rates: who teaches, who judges, and how scans are reduced."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scans import write_dataset

from IncrementalSegLib.registry import find
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.sampling.reading import read_case
from Testing.benchmarks.gate import FAMILIES, NEXT, TEACHING, GateScans, deal, smaller_scans


def test_no_patient_both_teaches_and_judges(tmp_path):
    write_dataset(tmp_path, 20)
    first, following, judging = deal(open_data(tmp_path), 3, 40)
    sets = [{case.patient for case in part.cases} for part in (first, following, judging)]
    assert [len(part) for part in sets] == [TEACHING, NEXT, 20 - TEACHING - NEXT]
    assert len(set().union(*sets)) == 20
    again = deal(open_data(tmp_path), 3, 40)
    assert [part.cases for part in again] == [first.cases, following.cases, judging.cases]
    other = deal(open_data(tmp_path), 4, 2)
    assert (other[0].cases != first.cases, len(other[2].cases)) == (True, 2)


def test_every_candidate_fits_the_first_method():
    for family, candidates in FAMILIES.items():
        assert {find("method", candidate.method).output for candidate in candidates} == {family}
        assert candidates[0].improve
        names = [candidate.name for candidate in candidates]
        assert len(names) == len(set(names))


def test_reduced_scans_keep_their_place(tmp_path):
    folder = tmp_path / "data" / "liver-set"
    folder.mkdir(parents=True)
    write_dataset(folder, 2)
    scans = GateScans("liver-set", "liver", "spleen", 5, (2, 2, 1))
    small = smaller_scans(scans, tmp_path / "data", tmp_path / "store")
    assert smaller_scans(scans, tmp_path / "data", tmp_path / "store").cases == small.cases
    for case, whole in zip(small.cases, open_data(folder).cases, strict=True):
        volume, masks = read_case(case)
        full, outlined = read_case(whole)
        size = np.array(full.grid.shape) // (1, 2, 2)
        assert volume.grid.shape == tuple(size)
        assert np.allclose(volume.array.mean(), full.array[:, :, : 2 * size[1], : 2 * size[2]].mean(), rtol=1e-4)
        share = masks["liver"].mean() / outlined["liver"].mean()
        assert 0.7 < share < 1.4
        middle = [np.argwhere(mask).mean(0)[::-1] for mask in (masks["liver"], outlined["liver"])]
        places = [
            sitk.ReadImage(str(path)).TransformContinuousIndexToPhysicalPoint([float(part) for part in index])
            for path, index in zip((case.label, whole.label), middle, strict=True)
        ]
        assert np.abs(np.subtract(*places)).max() < 1.5 * max(full.grid.spacing)

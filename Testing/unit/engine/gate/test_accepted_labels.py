"""A label whose header was ignored for training is read in the same way by the gate."""

import numpy as np
import pytest
import SimpleITK as sitk
from scans import toy, write_dataset

from IncrementalSegLib.engine.gate.scans import RetentionCopies, find_retention_scans
from IncrementalSegLib.engine.history import History, case_entry, step_entry
from IncrementalSegLib.errors import GeometryError
from IncrementalSegLib.sampling.datasets import open_cases, restrict_labels
from IncrementalSegLib.sampling.reading import CaseReader
from IncrementalSegLib.structures import parse_names

LIVER = "a" * 32


@pytest.mark.parametrize("accepted", [True, False])
def test_the_history_knows_how_the_label_was_read(tmp_path, accepted):
    data = write_dataset(tmp_path / "data", cases=1)
    path = next(data.rglob("labels/c0.nii.gz"))
    label = sitk.ReadImage(str(path))
    label.SetOrigin([part + 3.0 for part in label.GetOrigin()])
    sitk.WriteImage(label, str(path))
    (case,) = restrict_labels(open_cases(data, accept_grid=accepted), parse_names("liver")).cases
    entry = case_entry(case, {"liver": LIVER}, findable=True)
    history = History((step_entry({"number": 1, "taught": [LIVER]}, [], [entry]),))
    reader = CaseReader()
    (scan,) = find_retention_scans(history, [LIVER], RetentionCopies(), reader=reader).scans
    if accepted:
        np.testing.assert_array_equal(scan.read()[1][LIVER], toy(0)[1] == 1)
        assert reader.counts == {"accepted-grid": 1}
    else:  # taught by a program that did not refuse it
        with pytest.raises(GeometryError, match="accept_grid=True"):
            scan.read()
        (scan,) = find_retention_scans(history, [LIVER], RetentionCopies(), reader=CaseReader(accept_grid=True)).scans
        np.testing.assert_array_equal(scan.read()[1][LIVER], toy(0)[1] == 1)

"""Every damaged or hostile scan, label and data set is refused, or used with a warning, in words for people."""

import json
import os
import re
import tracemalloc

import pytest
from hostile_data import DATA, GOOD, LABELS, labelled
from hostile_scans import SCANS, image, series

from IncrementalSegLib.errors import DataError, IncrementalSegError
from IncrementalSegLib.sampling.cases import Case
from IncrementalSegLib.sampling.checks import check_data
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.sampling.reading import CaseReader
from IncrementalSegLib.volumes.io import read_volume

MACHINE = re.compile(r"0x[0-9a-f]{4}|sitk::|itk::|ITK ERROR|Traceback|Error:|<class|SimpleITK-build")
MOST_BYTES = 50_000_000


def judge(entry, findings, capfd):
    """Compare findings with what an entry of the corpus promises."""
    assert [finding.verdict for finding in findings] == ([] if entry.verdict == "ok" else [entry.verdict])
    for finding in findings:
        assert re.search(entry.said, finding.message)
        assert not MACHINE.search(finding.message)
        assert finding.message.endswith((".", "?"))
        assert len(finding.message) < 400
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")


@pytest.mark.parametrize("name", SCANS)
def test_scan(name, tmp_path, capfd):
    entry = SCANS[name]
    path = entry.make(tmp_path)
    capfd.readouterr()
    tracemalloc.start()
    try:
        reader = CaseReader()
        reader.judge(Case("scan", "scan", (path,), frozenset()), labels=False)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()
    findings = reader.notes.get("scan", ())
    judge(entry, findings, capfd)
    if entry.verdict == "refused":
        with pytest.raises(DataError) as caught:
            read_volume(path)
        assert caught.value.todo


@pytest.mark.parametrize("name", LABELS)
def test_label(name, tmp_path, capfd):
    entry = LABELS[name]
    path = entry.make(tmp_path)
    capfd.readouterr()
    judge(entry, [verdict for verdict in check_data(path) if verdict.verdict != "ok"], capfd)


@pytest.mark.parametrize("name", DATA)
def test_data_set(name, tmp_path):
    entry = DATA[name]
    path = entry.make(tmp_path)
    if entry.verdict == "ok":
        assert [verdict.verdict for verdict in check_data(path)] == ["ok"]
        return
    with pytest.raises(IncrementalSegError, match=entry.said) as caught:
        open_data(path)
    assert not MACHINE.search(str(caught.value))
    assert caught.value.todo


def test_the_corpus_is_large():
    assert sum(entry.verdict == "refused" for table in (SCANS, LABELS, DATA) for entry in table.values()) >= 60


def test_paths_of_a_manifest_may_lead_anywhere(tmp_path):
    """A manifest is a person's own file: scans often lie on another disk."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    labelled(GOOD)(tmp_path / "a")
    far = str(tmp_path / "a" / "scan.nii.gz")
    row = {"image": far, "label": "../label.nii.gz", "values": {"liver": 1, "spleen": 2}}
    (tmp_path / "a" / "b" / "m.json").write_text(json.dumps([row]), "utf-8")
    assert [verdict.verdict for verdict in check_data(tmp_path / "a" / "b" / "m.json")] == ["ok"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("make", [image("a.nii.gz"), image("a.nrrd"), lambda folder: series(folder / "scan")])
def test_what_may_not_be_read(make, tmp_path):
    path = make(tmp_path)
    path.chmod(0)
    try:
        with pytest.raises(DataError, match="may not be read"):
            read_volume(path)
    finally:
        path.chmod(0o700)

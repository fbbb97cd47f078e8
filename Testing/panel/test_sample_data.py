"""The sample that comes with the module."""

import sys
from pathlib import Path

import make_sample
import qt
from IncrementalSegPanel.scene import SampleData


def test_the_sample_that_comes_with_the_module_is_what_the_script_makes(tmp_path):
    made = make_sample.write(tmp_path, make_sample.SIZE)
    assert {p.name: p.read_bytes() for p in made.iterdir()} == {
        p.name: p.read_bytes() for p in SampleData.FOLDER.iterdir()
    }


def test_the_sample_is_offered_in_the_module_sample_data(monkeypatch):
    offered = {}

    class Logic:
        @staticmethod
        def registerCustomSampleDataSource(**source):
            offered.update(source)

    monkeypatch.setitem(sys.modules, "SampleData", type(sys)("SampleData"))
    sys.modules["SampleData"].SampleDataLogic = Logic
    SampleData.register()
    assert len({len(offered[key]) for key in ("uris", "fileNames", "nodeNames", "loadFileTypes")}) == 1
    assert all(qt.QFile(qt.QUrl(uri).toLocalFile()).exists() for uri in offered["uris"])
    assert offered["loadFileTypes"][:2] == ["VolumeFile", "SegmentationFile"]
    assert Path(offered["thumbnailFileName"]).is_file()
    assert callable(offered["customDownloader"])

from pathlib import Path

import pytest

from IncrementalSegLib.engine.sources import find_sources
from IncrementalSegLib.errors import DataError, OptionError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def found(scans) -> dict[str, list[str]]:
    return {source.name: [path.name for path in source.paths] for source in find_sources(scans)}


def test_what_is_empty_is_refused(folder):
    made("a.nii.gz")
    with pytest.raises(OptionError, match="empty name"):
        find_sources(["a.nii.gz", ""])
    Path("nothing").mkdir()
    with pytest.raises(DataError, match="The folder nothing is empty"):
        find_sources("nothing")


def test_channels_are_joined_by_semicolons(folder):
    made("a.nii.gz", "b.nii.gz")
    assert found("a.nii.gz;b.nii.gz") == {"a": ["a.nii.gz", "b.nii.gz"]}


def test_a_path_may_contain_a_semicolon(folder):
    made("with;mark/a.nii.gz", "odd;name.nrrd")
    assert found(["with;mark/a.nii.gz", "odd;name.nrrd"]) == {"a": ["a.nii.gz"], "odd;name": ["odd;name.nrrd"]}


def test_a_folder_stands_for_its_scans(folder):
    made("in/b.mha", "in/a.nii.gz", "in/a.seg.nrrd", "in/.hidden.nii", "in/notes.txt", "in/deeper/c.nii")
    assert found("in") == {"a": ["a.nii.gz"], "b": ["b.mha"]}


def test_scans_in_subfolders_are_left_out_and_counted(folder):
    made("in/a.nii.gz", "in/deeper/c.nii", "in/deeper/p_0000.nii", "in/deeper/p_0001.nii", "in/series/1.dcm")
    made("in/series/2.dcm", "in/results/a.seg.nrrd", "in/notes/readme.txt")
    warnings = []
    assert [source.name for source in find_sources("in", warnings)] == ["a"]
    said = "are left out: name those folders to segment them too."
    assert warnings == [f"4 scans in subfolders of in {said}"]  # one file of three in a folder is no channel
    warnings = []
    assert [source.name for source in find_sources("in/series", warnings)] == ["series"]
    assert warnings == []
    made("in/series/below/3.dcm")
    find_sources("in/series", warnings)
    assert warnings == [f"1 scan in subfolders of in/series {said.replace('are', 'is', 1)}"]


def test_a_folder_with_scans_in_its_subfolders_alone_says_so(folder):
    made("in/a/a.nii.gz", "in/b/b.nii.gz")
    with pytest.raises(DataError, match="holds no scan; its subfolders hold 2"):
        find_sources("in")


def test_a_long_list_of_channels_is_no_name_of_a_file(folder):
    files = [f"{'x' * 100}{number}.nii" for number in range(3)]
    assert found(";".join(files)) == {"x" * 100 + "0": files}


def test_channels_in_a_folder_are_grouped_as_in_nnunet(folder):
    made("in/p1_0000.nii.gz", "in/p1_0001.nii.gz", "in/p2_0000.nii.gz", "in/p2_0001.nii.gz")
    assert found("in") == {
        "p1": ["p1_0000.nii.gz", "p1_0001.nii.gz"],
        "p2": ["p2_0000.nii.gz", "p2_0001.nii.gz"],
    }


@pytest.mark.parametrize(("name", "here"), [("series", "."), (".", "series"), ("..", "series/below")])
def test_a_dicom_folder_is_one_scan_with_a_name(name, here, folder, monkeypatch):
    made("series/x.dcm", "series/IM0001", "series/below/y")
    monkeypatch.chdir(here)
    assert list(found(name)) == ["series"]


def test_a_folder_of_both_kinds_is_refused(folder):
    made("in/x.dcm", "in/a.nii")
    with pytest.raises(DataError, match="1 DICOM files and 1 other scans"):
        find_sources("in")


def test_two_scans_of_one_name_are_refused(folder):
    made("x/A.nii", "y/a.nrrd")
    with pytest.raises(OptionError, match="Two scans are called 'A'"):
        find_sources(["x/A.nii", "y/a.nrrd"])


def test_scans_of_one_name_can_be_called_after_their_folders(folder):
    made("x/A.nii", "y/a.nrrd", "y/b.nii", "z/x/A.nii")
    names = [source.name for source in find_sources(["x/A.nii", "y/a.nrrd", "y/b.nii"], apart=True)]
    assert names == ["x/A", "y/a", "b"]
    names = [source.name for source in find_sources(["x/A.nii", "z/x/A.nii"], apart=True)]
    assert names == [str(folder / "x/A"), str(folder / "z/x/A")]
    for twice in (["x/A.nii", "x/A.nii"], ["x/A.nii", "x"]):
        with pytest.raises(OptionError, match=r"x/A\.nii is given twice"):
            find_sources(twice, apart=True)

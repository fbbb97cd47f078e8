import re

import numpy as np
import pytest

from IncrementalSegLib.demo.report import METHODS, Scale
from IncrementalSegLib.demo.run import MARKER, claim, run_demo
from IncrementalSegLib.engine.scores.evaluate import evaluate
from IncrementalSegLib.errors import DataError
from IncrementalSegLib.sampling.datasets import open_data

TINY = Scale(people=4, test_people=1, size=(8, 32, 32))
STEPS = 6


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "output"
    phases = []
    result = run_demo(
        folder, steps=STEPS, seed=3, device="cpu", scale=TINY, progress=lambda phase, *_: phases.append(phase)
    )
    return folder, result, phases


def test_rows_are_what_evaluate_finds(demo):
    folder, result, _ = demo
    assert [(row["structure"], row["method"]) for row in result["rows"]] == [
        (structure, method) for structure in ("humerus", "scapula") for method in METHODS
    ]
    tests = [folder / "scans" / name for name in ("test-A", "test-B")]
    start = [evaluate(folder / "models" / "humerus", data).structures["humerus"].dice for data in tests]
    for row in result["rows"]:
        found = [evaluate(folder / "models" / row["method"], data).structures[row["structure"]].dice for data in tests]
        assert row["after"]["dice"] == pytest.approx(np.mean(found))
        if row["structure"] == "humerus":
            assert row["before"]["dice"] == pytest.approx(np.mean(start))
        else:
            assert row["before"] is None


def test_nobody_is_taught_and_tested(demo):
    folder, _, _ = demo
    names = {"humerus": ("humerus",), "scapula": ("scapula",), "test-A": ("humerus", "scapula")}
    opened = {name: open_data(folder / "scans" / name) for name in (*names, "test-B")}
    assert {name: opened[name].names for name in names} == names
    people = [case.id for data in opened.values() for case in data.cases]
    assert len(people) == len(set(people)) == 10


def test_the_report_shows_everything(demo):
    folder, result, phases = demo
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert result["report"] == str(folder / "report.html")
    assert result["verdict"].splitlines()[0].startswith("Humerus")
    assert all(word in page for word in (*METHODS, "humerus", "scapula", "How forgetting happens"))
    assert "nan" not in re.sub('base64,[^"]*', "", page.split("</style>")[1]).lower()
    assert all(f'class="{part}"' in page for part in ("scale", "curves", "card viewer", "matrix"))
    assert any(phase.startswith("5/5 scapula, coriseg: Learning") for phase in phases)


def test_an_earlier_demonstration_is_replaced_and_nothing_else(tmp_path):
    folder = tmp_path / "output"
    claim(folder)
    for place in ("models", "scans"):
        (folder / place).mkdir()
        (folder / place / "old").touch()
    (folder / "report.html").touch()
    (folder / "notes.txt").write_text("mine")
    claim(folder)
    assert sorted(path.name for path in folder.iterdir()) == [MARKER, "notes.txt"]


def test_what_a_link_points_to_stays(tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "scan.nii.gz").touch()
    folder = tmp_path / "output"
    claim(folder)
    (folder / "scans").symlink_to(mine, target_is_directory=True)
    claim(folder)
    assert (mine / "scan.nii.gz").exists()
    assert not (folder / "scans").exists()


def test_other_folders_are_refused_and_unchanged(tmp_path):
    full = tmp_path / "full"
    (full / "scans").mkdir(parents=True)
    with pytest.raises(DataError, match="not made by the demonstration"):
        run_demo(full, device="cpu", scale=TINY)
    assert [path.name for path in full.iterdir()] == ["scans"]
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(DataError, match="is a file"):
        claim(file)
    assert file.read_text() == "mine"

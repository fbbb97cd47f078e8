from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from IncrementalSegLib.errors import IncrementalSegError
from IncrementalSegLib.evaluation.content import (
    Change,
    ChangeChart,
    ChangeTable,
    Curve,
    CurveChart,
    CurvePanel,
    MatrixChart,
    Report,
    Section,
    SliceGrid,
    SliceRow,
)
from IncrementalSegLib.evaluation.forgetting import ScoreMatrix
from IncrementalSegLib.evaluation.metrics import CaseScore, summarise
from IncrementalSegLib.evaluation.report import verdict, write_report

RNG = np.random.default_rng
VOID = {"meta", "img", "source"}


def scored(mean, count=6, seen=False, missed=False):
    return summarise(
        [
            CaseScore(f"case-{i}", f"p{i}", mean, None if missed else 1.5, 2.0, 9, 0 if missed else 9, seen)
            for i in range(count)
        ],
        RNG(0),
    )


def change(structure, method, before, after, **rest):
    sides = (None if before is None else scored(before, rest.get("count", 6)), scored(after, **rest))
    return Change.of(structure, method, *sides, RNG(0))


def example(changes):
    mask = np.hypot(*np.mgrid[-9:9, -9:9]) < 5
    charts = (
        ChangeChart(changes),
        ChangeTable(changes),
        SliceGrid(("after",), (SliceRow("case-1", mask * 1.0, mask, (mask,)),), "Look & see."),
        CurveChart((CurvePanel("Loss", (Curve("total", (0, 1), (1.0, 0.5)),)),)),
        MatrixChart((("lwfseg", ScoreMatrix(("femur",), (0,), ((0.9,),))),)),
    )
    return Report(
        "Femur <b>", "Intro", verdict(changes), (Section("All", "Text", charts),), ("Careful",), (("Seed", "1"),)
    )


class Balance(HTMLParser):
    """Checks that every tag is closed in order and collects what is said."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.said = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.said.append(data)


def read(path):
    parser = Balance()
    parser.feed(path.read_text(encoding="utf-8"))
    assert parser.open == []
    return parser, " ".join(parser.said)


def test_page_is_complete_and_needs_nothing_else(tmp_path):
    image = pytest.importorskip("matplotlib.image")
    changes = (change("femur", "lwfseg", 0.9, 0.88), change("femur", "finetune", 0.9, 0.1, missed=True))
    path = write_report(example(changes), tmp_path / "new" / "folder")
    names = [f"report-{name}.png" for name in ("1-changes", "2-slices", "3-curves", "4-matrix")]
    assert sorted(item.name for item in path.parent.iterdir()) == [*names, "report.html"]

    text = path.read_text(encoding="utf-8")
    assert not re.search(r"https?:|<script|<link|@import|url\(", text)
    parser, said = read(path)
    pictures = [values for tag, values in parser.tags if tag == "img"]
    assert [values["alt"] != "" for values in pictures] == [True] * 4
    for name, values in zip(names, pictures, strict=True):
        data = base64.b64decode(values["src"].removeprefix("data:image/png;base64,"))
        assert data == (path.parent / name).read_bytes()
        assert image.imread(io.BytesIO(data)).shape[1] == 1920
    assert sum(tag == "source" for tag, _ in parser.tags) == 3  # slices look the same in dark mode
    for word in ("Femur <b>", "0.880", "−2.0", "missed in 6", "1.5 → –", "Look & see.", "Careful", "Seed", "case-5"):
        assert word in said, word


def test_few_cases_are_listed_and_seen_cases_are_warned_of(tmp_path):
    pytest.importorskip("matplotlib")
    report = example((change("femur", "", 0.9, 0.91, count=3, seen=True),))
    parser, said = read(write_report(report, tmp_path))
    assert ("details", {"open": None}) in parser.tags
    assert "3 cases, listed" in said
    assert "femur: 3 of 3 cases were seen in training" in said


def test_verdict_in_plain_words():
    many = (
        change("femur", "finetune", 0.9, 0.1),
        change("femur", "lwfseg", 0.9, 0.9),
        change("femur", "reseg", 0.9, 0.8),
        change("tibia", "finetune", None, 0.8),
        change("tibia", "lwfseg", None, 0.7),
    )
    assert verdict(many) == (
        "Femur, Dice 0.90 before: forgotten by finetune (0.10); kept by lwfseg (0.90); lower with reseg (0.80).",
        "Tibia was learned: Dice finetune 0.80, lwfseg 0.70.",
    )
    one = (change("femur", "", 0.9, 0.6, count=3),)
    assert verdict(one) == ("Femur lost ground: Dice 0.90 → 0.60 (too few cases for an interval).",)
    assert verdict((Change("femur", "", scored(0.9), None),)) == ()


def test_without_matplotlib_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(IncrementalSegError, match=r'pip install "incrementalseg\[report\]"'):
        write_report(example((change("femur", "", 0.9, 0.9),)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    pytest.importorskip("matplotlib")
    (tmp_path / "file").write_text("")
    with pytest.raises(IncrementalSegError, match="cannot be written"):
        write_report(example((change("femur", "", 0.9, 0.9),)), tmp_path / "file")


def test_a_failed_write_leaves_the_old_page(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    report = example((change("femur", "", 0.9, 0.9),))
    path = write_report(report, tmp_path)
    before = {item.name: item.read_bytes() for item in tmp_path.iterdir()}

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(IncrementalSegError, match="No space left"):
        write_report(report, tmp_path)
    assert {item.name: item.read_bytes() for item in tmp_path.iterdir()} == before
    assert path.exists()


def test_importing_is_light_and_drawing_leaves_no_global_state():
    code = (
        "import sys, IncrementalSegLib.evaluation.report as report\n"
        "assert not {'torch', 'monai', 'matplotlib'} & set(sys.modules)\n"
        "from IncrementalSegLib.evaluation.content import ChangeChart\n"
        "from IncrementalSegLib.evaluation.figures import draw\n"
        "from IncrementalSegLib.evaluation.theme import LIGHT\n"
        "draw(ChangeChart(()), LIGHT)\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    pytest.importorskip("matplotlib")
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_page_of_another_origin_is_never_replaced(tmp_path):
    page = tmp_path / "report.html"
    page.write_text("<html>my notes</html>", "utf-8")
    with pytest.raises(IncrementalSegError, match="not a report of this program"):
        write_report(Report("Title", "Intro", (), ()), tmp_path)
    assert page.read_text("utf-8") == "<html>my notes</html>"
    page.unlink()
    for title in ("First", "Second"):
        write_report(Report(title, "Intro", (), ()), tmp_path)
        assert title in page.read_text("utf-8")

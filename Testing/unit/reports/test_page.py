from __future__ import annotations

import base64
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
import SimpleITK as sitk

from IncrementalSegLib.errors import IncrementalSegError
from IncrementalSegLib.evaluation.forgetting import ScoreMatrix
from IncrementalSegLib.evaluation.metrics import CaseScore, summarise
from IncrementalSegLib.reports.changes import Change, verdict
from IncrementalSegLib.reports.content import (
    ChangeTable,
    Curve,
    CurveChart,
    CurvePanel,
    MatrixChart,
    Report,
    Section,
)
from IncrementalSegLib.reports.page import render, write_report
from IncrementalSegLib.reports.slices import SliceGrid, SliceRow

RNG = np.random.default_rng
VOID = {"meta", "img", "br", "wbr"}


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
        ChangeTable(changes),
        SliceGrid(
            ("after", "other"), (SliceRow("case_1", mask * 1.0, mask, (mask, None), ("0.88", "")),), "Look & see."
        ),
        CurveChart((CurvePanel("Points", (Curve("lwfseg", (0, 1), (0.0, -97.5)),)),)),
        MatrixChart((("lwfseg", ScoreMatrix(("femur", "tibia"), (0, 1), ((0.9, None), (0.88, 0.7)))),)),
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
    changes = (change("femur", "lwfseg", 0.9, 0.88), change("femur", "finetune", 0.9, 0.1, missed=True))
    path = write_report(example(changes), tmp_path / "new" / "folder")
    assert [item.name for item in path.parent.iterdir()] == ["report.html"]
    assert not re.search(r"https?:|<script|<link|@import|url\(", path.read_text(encoding="utf-8"))
    parser, said = read(path)
    pictures = [values for tag, values in parser.tags if tag == "img"]
    assert [values["alt"] for values in pictures] == ["case_1: truth", "case_1: after 0.88"]
    for values in pictures:
        (tmp_path / "a.png").write_bytes(base64.b64decode(values["src"].removeprefix("data:image/png;base64,")))
        assert sitk.ReadImage(str(tmp_path / "a.png")).GetSize() == (384, 384)
    for words in ("Femur <b>|0.880|−2.0|missed in 6|1.5 → –", "Look & see.|−100|Careful|Seed|case-5"):
        assert all(word in said for word in words.split("|")), words


def test_small_charts_show_the_numbers_of_their_row():
    mean = scored(0.9)
    text = render(example((Change("femur", "", mean, mean, None), change("tibia", "", None, 0.125))))
    rings, dots = (re.findall(f'class="{side}" cx="([^"]*)%"', text) for side in ("before", "after"))
    assert (rings, dots) == (["90.0", "50"], ["90.0", "12.5", "50"])  # the last ones are the legend


def test_the_legend_explains_each_state_on_the_page_and_no_other():
    lower, new = change("femur", "", 0.9, 0.1), Change("tibia", "", None, scored(0.8))
    words = re.findall("<b>([^<]*)</b>", render(example((lower, new))).partition('class="glossary"')[2])
    assert set(words) == {"Dice", "point", "ASSD", "interval", "lower", "new", "forgetting"}


def test_the_step_that_taught_a_structure_is_framed():
    cells = re.findall(r"<td( class=.taught.)? style=.--dice:([^\"]*).><span>(.*?)</span>", render(example(())))
    assert [(bool(framed), shade, text) for framed, shade, text in cells] == [
        (True, "0.90", "0.90"), (False, "0.00", "–"), (False, "0.88", "0.88"), (True, "0.70", "0.70"),
    ]  # fmt: skip


def test_it_is_as_light_or_dark_as_the_system():
    style, body = render(example((change("femur", "", 0.9, 0.1),))).split("</style>")
    light, dark = (set(re.findall(r"(--[\w-]+):", part)) for part in style.split("prefers-color-scheme: dark", 1))
    assert {"--page", "--ink", "--card", "--curve-7"} <= light & dark
    assert set(re.findall(r"var\((--[\w-]+)\)", body)) <= light
    assert not re.findall(r"#[0-9a-f]{3,8}\b|rgb\(", re.sub(r"base64,[^\"]*", "", body))


def test_names_are_text_whatever_they_hold(tmp_path):
    evil = "</td></style><script>alert('x')</script>\" onload=\"&amp;{{ 7 * 7 }}"
    side = summarise([CaseScore(evil, "p", 0.5, None, None, 9, 9)], RNG(0))
    mask = np.ones((4, 4), bool)
    items = (
        ChangeTable((Change(evil, evil, side, side, None, None, evil),)),
        SliceGrid((evil,), (SliceRow(evil, mask * 1.0, mask, (mask,), (evil,)),), evil),
        CurveChart((CurvePanel(evil, (Curve(evil, (0, 1), (0.0, 1.0)),)),), evil),
        MatrixChart(((evil, ScoreMatrix((evil,), (0,), ((0.5,),))),), evil),
    )
    report = Report(evil, evil, (evil,), (Section(evil, evil, items),), (evil,), ((evil, evil),), ((evil, evil),))
    parser, said = read(write_report(report, tmp_path))
    assert {tag for tag, _ in parser.tags}.isdisjoint({"script"})
    assert not any("onload" in values for _, values in parser.tags)
    assert said.count(evil) == said.count("7 * 7") > 20


def test_few_cases_are_listed_and_seen_cases_are_warned_of(tmp_path):
    report = example((change("femur", "", 0.9, 0.91, count=3, seen=True),))
    parser, said = read(write_report(report, tmp_path))
    assert ("details", {"open": None}) in parser.tags
    assert "3 cases, listed" in said
    assert "femur: 3 of 3 cases were used for training, so the score is optimistic." in said


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(IncrementalSegError, match=r"Cannot write .*Part of the path is a file"):
        write_report(example((change("femur", "", 0.9, 0.9),)), tmp_path / "file")


def test_a_failed_write_leaves_the_old_page(tmp_path, monkeypatch):
    report = example((change("femur", "", 0.9, 0.9),))
    path = write_report(report, tmp_path)
    before = {item.name: item.read_bytes() for item in tmp_path.iterdir()}

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(IncrementalSegError, match="The disk is full"):
        write_report(report, tmp_path)
    assert {item.name: item.read_bytes() for item in tmp_path.iterdir()} == before
    assert path.exists()


def test_importing_is_light():
    code = "import sys, IncrementalSegLib.reports.page\nassert not {'torch', 'monai'} & set(sys.modules)"
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

"""What the documents of the module say is there: messages, pictures and verbs."""

import ast
import html
import re

import pytest
from extension_files import ROOT

PAGES = [ROOT / "README.md", *(ROOT / "docs" / name for name in ("panel.md", "problems.md", "slicer-scripts.md"))]
TEXT = {page.name: page.read_text(encoding="utf-8") for page in PAGES}
SOURCES = [*(ROOT / "IncrementalSeg").rglob("*.py"), *(ROOT / "IncrementalSegLib").rglob("*.py")]
SAID = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
SAID += html.unescape("\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "IncrementalSeg").rglob("*.ui")))
VERBS = {
    item.name
    for node in ast.parse((ROOT / "IncrementalSeg/IncrementalSegPanel/Scripting.py").read_text(encoding="utf-8")).body
    if isinstance(node, ast.ClassDef)
    for item in node.body
    if isinstance(item, ast.FunctionDef)
} | {"onProgress"}
MOST_BYTES = 70_000
"""Of a picture of the panel."""


@pytest.mark.parametrize("words", re.findall(r"^\| \*([^*]+)\*", TEXT["problems.md"], re.MULTILINE))
def test_the_messages_that_are_explained_are_said(words):
    for part in words.split("…"):
        assert part.strip() in SAID


@pytest.mark.parametrize("words", sorted(set(re.findall(r"\*\*([A-Z][^*|]+)\*\*", TEXT["panel.md"]))))
def test_the_buttons_that_are_explained_are_there(words):
    assert re.search(rf'[">]{re.escape(re.sub(r" (N|[0-9]+)$", "", words))}', SAID)


def test_pictures_are_there_and_small():
    pictures = re.findall(r'<img src="([^"]+)"', TEXT["panel.md"])
    assert pictures
    for picture in pictures:
        assert 0 < (ROOT / "docs" / picture).stat().st_size <= MOST_BYTES, picture


def test_the_verbs_for_scripts_exist():
    text = TEXT["slicer-scripts.md"]
    called = set(re.findall(r"logic\.(\w+)", "".join(re.findall(r"```py\n(.*?)```", text, re.DOTALL))))
    listed = {word for line in re.findall(r"^\| (`\w+\(?.*?) \|", text, re.MULTILINE) for word in _verbs(line)}
    assert called
    assert listed
    assert called | listed <= VERBS


def _verbs(line):
    return re.findall(r"`(\w+)(?:\([^`]*\))?`", line)

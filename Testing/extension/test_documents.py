"""What the documents of the module say is there: messages, pictures and verbs."""

import ast
import html
import re

import pytest
from extension_files import ROOT

PAGES = [ROOT / "README.md", ROOT / "docs" / "panel.md", ROOT / "docs" / "problems.md"]
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
    assert re.search(rf'[">]{re.escape(words.removesuffix(" N"))}', SAID)


@pytest.mark.parametrize("name", TEXT)
def test_pictures_are_there_and_small(name):
    pictures = re.findall(r'<img src="([^"]+)"', TEXT[name])
    assert pictures or name == "problems.md"
    for picture in pictures:
        path = (ROOT / "docs" / picture if name != "README.md" else ROOT / picture).resolve()
        assert 0 < path.stat().st_size <= MOST_BYTES, picture


@pytest.mark.parametrize("name", TEXT)
def test_the_verbs_for_scripts_exist(name):
    called = set(re.findall(r"logic\.(\w+)", "".join(re.findall(r"```py\n(.*?)```", TEXT[name], re.DOTALL))))
    listed = {word for line in re.findall(r"^\| (`\w+\(?.*?) \|", TEXT[name], re.MULTILINE) for word in _verbs(line)}
    assert (called | (listed if name == "panel.md" else set())) <= VERBS


def _verbs(line):
    return re.findall(r"`(\w+)(?:\([^`]*\))?`", line)

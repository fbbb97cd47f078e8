"""Plain English: nouns where a clause would stand, and none of the phrases that readers stumbled over."""

import ast
import html
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = [file for folder in ("IncrementalSegLib", "IncrementalSeg") for file in sorted((ROOT / folder).rglob("*.py"))]
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "IncrementalSegLib").rglob("*.md")})
FORMS = sorted((ROOT / "IncrementalSeg").rglob("*.ui"))
TEMPLATES = sorted((ROOT / "IncrementalSegLib").rglob("*.jinja"))
CLAUSE = r"(What|Which|How)\b"
PHRASES = (
    r"\bshall\b",
    r"\b(go|goes|went|going) on (with|from)\b",
    r"\bwhat became of\b",
    r"\bset aside\b",
    r"\bmend it\b",
    r"\bnearly personal\b",
)


def test_no_docstring_begins_with_a_clause():
    found = [str(file.relative_to(ROOT)) for file in CODE for text in docstrings(file) if re.match(CLAUSE, text)]
    assert found == []


@pytest.mark.parametrize("phrase", PHRASES)
def test_no_text_has_a_phrase_that_readers_stumbled_over(phrase):
    found = [f"{file.relative_to(ROOT)}:{line}" for file, line, text in TEXTS if re.search(phrase, text, re.IGNORECASE)]
    assert list(dict.fromkeys(found)) == []


def test_a_phrase_is_found_wherever_it_stands(tmp_path):
    for name, text in (
        ("a.py", 'say(f"{name} can go "\n    "on with it")'),
        ("b.md", "One can go\non with it."),
        ("c.ui", "<string>go on &#119;ith it</string>"),
        ("d.py", "# go on with it"),
    ):
        (tmp_path / name).write_text(text, "utf-8")
        assert any(re.search(PHRASES[1], found) for _, _, found in texts(tmp_path / name)), name


def texts(file):
    """Yield what people read in a file, with its first line: lines, pairs of lines, and joined string constants."""
    text = html.unescape(file.read_text("utf-8"))
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        yield file, number, " ".join([line, *lines[number : number + 1]])
    if file.suffix == ".py":
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
                yield file, node.lineno, "".join(map(str, parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield file, node.lineno, " ".join(node.value.split())


def docstrings(file):
    """Yield what stands as a string alone: docstrings of modules, classes, functions and attributes."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value


TEXTS = [found for file in (*CODE, *PAGES, *FORMS, *TEMPLATES) for found in texts(file)]

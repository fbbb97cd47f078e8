"""Plain English: nouns where a clause would stand, and none of the phrases that readers stumbled over."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = [file for folder in ("IncrementalSegLib", "IncrementalSeg") for file in sorted((ROOT / folder).rglob("*.py"))]
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "IncrementalSegLib").rglob("*.md")})
CLAUSE = r"(What|Which|How)\b"
PHRASES = (
    r"\bshall\b",
    r"\bgoes on with\b",
    r"\bwent on with\b",
    r"\bwhat became of\b",
    r"\bset aside\b",
    r"\bmend it\b",
)


def test_no_docstring_begins_with_a_clause():
    found = [str(file.relative_to(ROOT)) for file in CODE for text in docstrings(file) if re.match(CLAUSE, text)]
    assert found == []


@pytest.mark.parametrize("phrase", PHRASES)
def test_no_text_has_a_phrase_that_readers_stumbled_over(phrase):
    found = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in (*CODE, *PAGES)
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1)
        if re.search(phrase, line, re.IGNORECASE)
    ]
    assert found == []


def docstrings(file):
    """Yield what stands as a string alone: docstrings of modules, classes, functions and attributes."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value

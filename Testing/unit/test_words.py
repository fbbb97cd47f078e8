"""Plain English: nouns where a clause would stand, and none of the phrases that readers stumbled over."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = [file for folder in ("IncrementalSegLib", "IncrementalSeg") for file in sorted((ROOT / folder).rglob("*.py"))]
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "IncrementalSegLib").rglob("*.md")})
PHRASES = (
    r"\bshall\b",
    r"\bgoes on with\b",
    r"\bwent on with\b",
    r"\bwhat became of\b",
    r"\bset aside\b",
    r"\bmend it\b",
)


def test_no_module_begins_with_a_clause():
    found = {file.name: ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "" for file in CODE}
    clauses = {name for name, text in found.items() if re.match(r"(What|Which|Whether|How)\b", text)}
    assert clauses == set()


@pytest.mark.parametrize("phrase", PHRASES)
def test_no_text_has_a_phrase_that_readers_stumbled_over(phrase):
    found = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in (*CODE, *PAGES)
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1)
        if re.search(phrase, line, re.IGNORECASE)
    ]
    assert found == []

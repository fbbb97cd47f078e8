"""The files around the code agree with it: workflows, forms, notes of a release, pages of the documentation."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import IncrementalSegLib

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github").rglob("*.yml"))
TARGETS = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


@pytest.mark.parametrize("path", [*WORKFLOWS, ROOT / ".pre-commit-config.yaml", ROOT / ".ci" / "run"], ids=str)
def test_the_targets_that_are_made_exist(path):
    assert set(re.findall(r"\bmake ([a-z-]+)", path.read_text("utf-8"))) - {"--yes"} <= TARGETS


@pytest.mark.parametrize("path", [*WORKFLOWS, ROOT / "CITATION.cff", ROOT / ".pre-commit-config.yaml"], ids=str)
def test_yaml_can_be_read(path):
    assert isinstance(yaml.safe_load(path.read_text("utf-8")), dict)


def test_actions_are_pinned_by_their_major_version():
    used = re.findall(r"uses: (\S+)", "\n".join(path.read_text("utf-8") for path in WORKFLOWS))
    assert used
    assert [name for name in used if not re.fullmatch(r"\./\S+|[\w/-]+@v\d+", name)] == []


def test_a_report_of_a_fault_needs_what_doctor_says():
    form = yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE/fault.yml").read_text("utf-8"))
    (field,) = [item for item in form["body"] if item.get("id") == "doctor"]
    assert "incrementalseg doctor" in field["attributes"]["label"]
    assert field["validations"]["required"]


def test_every_page_has_its_place_in_the_navigation():
    text = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:")[2]
    pages = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")]
    assert pages
    assert [str(page) for page in pages if not re.search(rf" {page.parts[0]}(/?$|/)", text, re.MULTILINE)] == []


@pytest.mark.parametrize(
    ("tag", "code", "said"),
    [
        (f"v{IncrementalSegLib.__version__}", 0, "what a user can notice\n"),
        ("v99.0", 1, "is not the version of the library"),
    ],
)
def test_the_notes_of_a_release_are_its_part_of_the_changelog(tmp_path, tag, code, said):
    number = IncrementalSegLib.__version__
    done = in_copy(
        tmp_path,
        "notes",
        {"CHANGELOG.md": f"## [{number}] - 2026-01-01\n\nwhat a user can notice\n\n## [0.0.1]\n"},
        tag,
    )
    assert done.returncode == code
    assert said in done.stdout + done.stderr


@pytest.mark.parametrize(("limit", "code"), [("75", 0), ("76", 1)])
def test_coverage_below_its_limit_fails(tmp_path, limit, code):
    files = {"IncrementalSegLib/a/b.py": {"executed_lines": [1, 2, 3], "missing_lines": [4]}}
    done = in_copy(tmp_path, "coverage", {"coverage.json": json.dumps({"files": files})}, f"IncrementalSegLib={limit}")
    assert done.returncode == code
    assert ("TOO LOW" in done.stdout) == bool(code)


def in_copy(folder, script, files, argument):
    """Run a script of ``.ci`` in a copy of what it reads."""
    for name in (f".ci/{script}", "IncrementalSegLib/__init__.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    command = [sys.executable, folder / ".ci" / script, argument]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)

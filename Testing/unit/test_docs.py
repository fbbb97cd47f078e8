"""What the README says works: every command parses, every example runs, every name exists."""

import re
import shlex
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import typer.main

from IncrementalSegLib.cli.app import build
from IncrementalSegLib.engine.step import presets
from IncrementalSegLib.engine.step.request import build_method
from IncrementalSegLib.registry import names
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.sampling.phantom import write_phantom_dataset

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "IncrementalSegLib" / "methods" / "README.md",
]


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


SHELL = [line for block in blocks("sh") for line in block.splitlines() if line and not line.startswith("#")]
INLINE = [text for text in re.findall(r"`(incrementalseg [^`]*)`", README) if "command not found" not in text]


@pytest.fixture(scope="module")
def root_command():
    return typer.main.get_command(build())


@pytest.mark.parametrize("line", [line for line in SHELL if line.startswith("incrementalseg")] + INLINE)
def test_every_command_parses(line, root_command):
    _, *words = shlex.split(line.replace("*", "any"))
    command = root_command
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    if "--help" not in words:
        command.make_context("incrementalseg", words)  # raises on wrong usage


def test_other_shell_lines_name_what_exists():
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    others = [line for line in SHELL if not line.startswith("incrementalseg")]
    for line in others:
        match shlex.split(line):
            case ["make", target]:
                assert target in targets
            case ["python", "-m", "pip", "install", what, "--constraint", file]:
                assert set(re.search(r"\[(.*)\]", what)[1].split(",")) <= set(extras)
                assert (ROOT / file).is_file()
            case ["python", "-m", "venv", ".venv"] | ["source", ".venv/bin/activate"] | ["export", _]:
                pass
            case unknown:
                pytest.fail(f"nobody checks {unknown}")
    assert {"make demo", "make test"} <= set(others)


def test_python_runs(tmp_path, monkeypatch, capsys):
    scans = tmp_path / "demo-output" / "scans"
    scans.mkdir(parents=True)
    wanted = {"humerus": ("humerus",), "scapula": ("scapula",), "test-A": ("humerus", "scapula")}
    for number, (name, outlined) in enumerate(wanted.items()):
        write_phantom_dataset(scans / name, 2, "A", outlined, number, (4, 32, 32))
    monkeypatch.setattr(presets, "_PRESETS", {key: replace(item, steps=1) for key, item in presets._PRESETS.items()})
    monkeypatch.chdir(tmp_path)
    (block,) = blocks("python")
    exec(compile(block, "README.md", "exec"), {"__name__": "readme"})
    printed = capsys.readouterr().out
    assert "shoulder_A_0_000 ok" in printed
    assert "('humerus', 'scapula')" in printed
    assert len(list((tmp_path / "outlines-of-bones").glob("*.seg.nrrd"))) == 2


def test_manifest_means_what_the_text_says(tmp_path):
    (block,) = blocks("csv")
    (tmp_path / "manifest.csv").write_text(block, encoding="utf-8")
    cases = {case.patient: case for case in open_data(tmp_path / "manifest.csv").cases}
    assert {patient: set(case.looked_for) for patient, case in cases.items()} == {
        "p01": {"humerus"},
        "p02": {"humerus", "scapula"},
        "p03": {"scapula"},
        "p04": {"scapula"},
    }
    assert cases["p03"].masks == {"scapula": tmp_path / "masks" / "p03-blade.nii.gz"}
    assert len(cases["p04"].images) == 2


def test_the_table_lists_every_method():
    listed = re.findall(r"^\| `([a-z-]+)` \|", README.partition("## Methods")[2].partition("\n## ")[0], re.MULTILINE)
    assert sorted(listed) == names("method")


@pytest.mark.parametrize("pair", sorted(set(re.findall(r"--option (\w+=[\w.]+)", README))))
def test_options_exist(pair):
    name, _, value = pair.partition("=")
    assert str(getattr(build_method("aeiseg", {name: value}).options, name)).casefold() == value.casefold()


@pytest.mark.parametrize(
    "words",
    [
        "The model already knows ",
        "The data names none of the model's structures",
        " rehearses exemplars, and the model holds none",
        "No CUDA GPU can be used",
        "No Python >= 3.11 with venv",
    ],
)
def test_quoted_messages_are_still_said(words):
    sources = [*(ROOT / "IncrementalSegLib").rglob("*.py"), ROOT / "Makefile"]
    assert words in README
    assert any(words in path.read_text(encoding="utf-8") for path in sources)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_pictures_are_small():
    for picture in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README):
        assert (ROOT / picture).stat().st_size < 300_000

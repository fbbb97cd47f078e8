"""The documents tell the truth: every command parses, every example runs, every name exists."""

import ast
import importlib.util
import re
import shlex
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import typer.main

import IncrementalSegLib
from IncrementalSegLib.cli.app import build
from IncrementalSegLib.engine.step import presets
from IncrementalSegLib.engine.step.request import build_method
from IncrementalSegLib.registry import find, names
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.sampling.phantom import write_phantom_dataset

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if path.parent.name != "benchmarks"),
    ROOT / "IncrementalSegLib" / "methods" / "README.md",
]
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def page(name):
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(language, text=TEXT):
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


SHELL = [line for block in blocks("sh") for line in block.splitlines() if line and not line.startswith("#")]
INLINE = [text for text in re.findall(r"`(incrementalseg [^`]*)`", TEXT) if not set(text) & set("…{")]


@pytest.fixture(scope="module")
def root_command():
    return typer.main.get_command(build())


@pytest.mark.parametrize("line", [line for line in SHELL if line.startswith("incrementalseg")] + INLINE)
def test_every_command_parses(line, root_command):
    _, *words = shlex.split(line.replace("*", "any"))
    command = root_command
    while hasattr(command, "commands") and not words[0].startswith("-"):
        command = command.commands[words.pop(0)]
    if words and not {"--help", "--version"} & set(words):  # a name alone is a mention, not a call
        command.make_context("incrementalseg", words)  # raises on wrong usage


def test_other_shell_lines_name_what_exists():
    targets = set(re.findall(r"^([a-z-]+):.*## ", page("Makefile"), flags=re.MULTILINE))
    extras = tomllib.loads(page("pyproject.toml"))["project"]["optional-dependencies"]
    others = [line for line in SHELL if not line.startswith("incrementalseg")]
    for line in others:
        match shlex.split(line, comments=True):
            case ["make", target]:
                assert target in targets
            case ["python", "-m", "pip", "install", what, "--constraint", file]:
                assert set(re.search(r"\[(.*)\]", what)[1].split(",")) <= set(extras)
                assert (ROOT / file).is_file()
            case ["python", "-m", "venv", ".venv"] | ["source", ".venv/bin/activate"] | ["export", _]:
                pass
            case ["git", *_]:
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
    (block,) = blocks("python", page("docs/python.md"))
    exec(compile(block, "python.md", "exec"), {"__name__": "document"})
    printed = capsys.readouterr().out
    assert "shoulder_A_0_000 ok" in printed
    assert "('humerus', 'scapula')" in printed
    assert len(list((tmp_path / "outlines-of-bones").glob("*.seg.nrrd"))) == 2


@pytest.mark.parametrize("block", [*blocks("python"), *blocks("py")], ids=lambda block: block.splitlines()[0])
def test_what_python_imports_exists(block):
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            assert [name.name for name in node.names if not hasattr(module, name.name)] == []


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


def test_the_tables_list_every_method_and_its_paper():
    methods, _, papers = page("docs/methods.md").partition("## Papers")
    assert sorted(re.findall(r"^\| `([a-z-]+)` \|", methods, re.MULTILINE)) == names("method")
    cells = re.findall(r"^\| (`.*?) \|", papers, re.MULTILINE)
    assert sorted(set(re.findall(r"`([a-z-]+)`", " ".join(cells)))) == names("method")


def test_the_readme_tells_the_steps_of_the_presets():
    table = page("README.md").partition("## Presets")[2].partition("\n## ")[0]
    for name in ("quick", "standard"):
        (row,) = re.findall(rf"^\| `{name}` \|.*$", table, re.MULTILINE)
        assert [int(cell) for cell in row.split("|")[3:5]] == [presets.find_preset(name, dims).steps for dims in (2, 3)]


@pytest.mark.parametrize("pair", sorted(set(re.findall(r"--option ([a-z_]+=[\w.]+)", TEXT)) - {"strength=0.5"}))
def test_options_exist(pair):
    name, _, value = pair.partition("=")
    owner = next(method for method in names("method") if name in find("method", method).Options.model_fields)
    found = getattr(build_method(owner, {name: value}).options, name)
    assert found == float(value) if isinstance(found, float) else str(found).casefold() == value.casefold()


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
    assert words in page("docs/problems.md")
    assert any(words in path.read_text(encoding="utf-8") for path in sources)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\((?!https?:|mailto:)([^)#]+)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_anchors_are_headings(path):
    text = path.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", text):
        linked = (path.parent / target).read_text(encoding="utf-8") if target else text
        headings = re.findall(r"^#+ (.+)$", linked, re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_tables_of_methods_are_those_of_the_registry():
    spec = importlib.util.spec_from_file_location("methods_table", ROOT / "docs" / "_site" / "methods_table.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    text = page("docs/methods.md")
    assert made.filled(text) == text, "run: python docs/_site/methods_table.py"
    assert all(f"| `{name}` |" in text for name in names("method"))


def test_the_citation_names_the_version():
    assert f"version: {IncrementalSegLib.__version__}\n" in page("CITATION.cff")


def test_pictures_are_small():
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page("README.md"))
    assert pictures
    for picture in pictures:
        assert (ROOT / picture).stat().st_size < 300_000

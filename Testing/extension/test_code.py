"""House rules of the module's code that a linter does not know."""

import ast
import json
import re
import subprocess
import sys

import pytest
from extension_files import MODULE, PANEL, ROOT, SOURCES

FORBIDDEN = {
    r"\bQTextCodec\b|\bQRegExp\b": "is gone in Qt 6",
    r"^\s*(import|from) imp\b": "is gone in Python 3.12",
    r"[sS]tyleSheet": "Slicer's style is the style",
    r"^\s*(import|from) (threading|concurrent|multiprocessing)\b": "threads do not run while Slicer is idle",
    r"\btime\.sleep\b|\bmsleep\b": "the main thread never waits",
    r"\bprint\(": "nobody reads it",
}
GIVEN_BACK = r"\bdeleteLater\b|\bsetParent\("  # a second owner frees it twice
DISCARDS = {"Discard.py"}
PUMPED = {"Scripting.py", "IncrementalSeg.py"}  # scripts and the self-test wait for results; Slicer lives meanwhile
ABSENT = ["slicer", "qt", "ctk", "vtk", "numpy", "torch", "monai", "pydantic", "safetensors", "typer", "rich"]
HEAVY = [name for name in ABSENT if name not in ("slicer", "qt", "ctk", "vtk", "numpy")]  # Slicer brings the others

SETTERS = {
    "setText", "setToolTip", "setWindowTitle", "setTitle", "setPlaceholderText", "setStatusTip", "setInformativeText",
    "addItem", "addAction", "addTab", "addButton", "QLabel", "QPushButton", "QToolButton", "QCheckBox", "QRadioButton",
    "QAction", "QGroupBox", "QMenu", "setHeaderLabel", "showStatusMessage",
}  # fmt: skip
NAMES = ("IncrementalSeg",)
SHOWN = {"text", "toolTip", "windowTitle", "title", "placeholderText", "statusTip", "informativeText"}

PROBE = """
import importlib, json, sys

modules, blocked, folders = json.loads(sys.argv[1])
sys.path[:0] = folders

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"{name} is not there", name=name)

sys.meta_path.insert(0, Absent())
for module in modules:
    importlib.import_module(module)
"""

if not SOURCES:
    pytest.skip("there is no module", allow_module_level=True)


def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def probe(modules, blocked):
    """Import modules in a fresh interpreter in which some packages cannot be imported."""
    question = json.dumps([modules, blocked, [str(MODULE), str(ROOT)]])
    done = subprocess.run(
        [sys.executable, "-c", PROBE, question], cwd=MODULE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def imports(tree):
    """Yield the modules that a file imports, wherever the import stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            folder = ROOT.joinpath(*node.module.split("."))
            yield from (f"{node.module}.{name.name}" for name in node.names if (folder / f"{name.name}.py").is_file())


def literal(node):
    """Return whether an expression is a text with words that was not translated; names are the same everywhere."""
    if isinstance(node, ast.Constant):
        words = isinstance(node.value, str) and re.search(r"[A-Za-z]{2}", node.value) is not None
        return words and node.value not in NAMES
    if isinstance(node, ast.JoinedStr):
        return any(literal(part) for part in node.values)
    if isinstance(node, ast.IfExp):
        return literal(node.body) or literal(node.orelse)
    if isinstance(node, ast.BinOp):
        return literal(node.left) or literal(node.right)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        return literal(node.func.value)
    return False


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_forbidden_names_are_not_used(path):
    text = path.read_text(encoding="utf-8")
    for pattern, why in FORBIDDEN.items():
        found = re.search(pattern, text, re.MULTILINE)
        assert found is None, f"{found[0].strip()}: {why}"
    if path.name not in PUMPED:
        assert "processEvents" not in text, "a loop of events inside an event ends in surprises"
    if path.name not in DISCARDS:
        assert re.search(GIVEN_BACK, text) is None, "widgets end in pages/Discard.py, which has one owner delete them"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_texts_that_are_shown_go_through_translation(path):
    text = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(text)):
        shown = []
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute):
            if node.targets[0].attr in SHOWN:
                shown = [node.value]
        elif isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in SETTERS:
                shown = node.args[:2] if name in ("addTab", "addItem", "addAction") else node.args[:1]
                shown = shown[:1] if name == "addItem" else shown
            if name == "_":
                assert isinstance(node.args[0], ast.Constant), f"line {node.lineno}: translate first, then fill in"
                quoted = ast.get_source_segment(text, node.args[0])
                assert quoted[0] + quoted[-1] == '""', f"line {node.lineno}: Slicer collects none but double quotes"
        for value in shown:
            assert not literal(value), f"line {node.lineno}: {ast.unparse(value)}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_the_widgets_of_qt_get_no_keyword_arguments(path):
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Call) and re.match(r"(qt|ctk)\.\w+$", ast.unparse(node.func)):
            assert not node.keywords, f"line {node.lineno}: PythonQt takes no keyword arguments"


def test_what_the_panel_imports_of_the_library_needs_nothing_installed():
    modules = {name for path in SOURCES for name in imports(parsed(path)) if name.startswith("IncrementalSegLib")}
    assert modules
    probe(sorted(modules), HEAVY)


def test_session_and_flows_need_neither_slicer_nor_anything_installed():
    flows = [f"IncrementalSegPanel.flows.{path.stem}" for path in sorted((PANEL / "flows").glob("[A-Z]*.py"))]
    probe(["IncrementalSegPanel.Session", *flows], ABSENT)


def test_the_files_that_name_no_widget_need_none():
    """A file that imports qt or slicer nowhere must not get them through another one."""
    plain = []
    for path in SOURCES:
        names = {
            alias.name.partition(".")[0]
            for node in ast.walk(parsed(path))
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        names |= {
            (node.module or "").partition(".")[0] for node in ast.walk(parsed(path)) if isinstance(node, ast.ImportFrom)
        }
        if PANEL in path.parents and not names & {"qt", "ctk", "slicer", "vtk", "numpy"} and "pages" not in path.parts:
            plain.append(".".join(path.relative_to(MODULE).with_suffix("").parts).removesuffix(".__init__"))
    probe(plain, ABSENT)


def test_the_shell_opens_with_nothing_installed():
    for path in SOURCES:
        top = ast.Module([node for node in parsed(path).body if isinstance(node, ast.Import | ast.ImportFrom)], [])
        early = {name.partition(".")[0] for name in imports(top)} & set(HEAVY)
        assert not early, f"{path.name}: {early} is imported before anybody has installed it"


def test_requirements_are_those_of_the_library_and_of_corrections_without_torch():
    import tomllib

    from packaging.requirements import Requirement

    lines = (MODULE / "Resources" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    listed = {str(Requirement(line)) for line in lines if line.strip() and not line.startswith("#")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {str(Requirement(line)) for line in project["dependencies"] + project["optional-dependencies"]["correct"]}
    assert listed == {line for line in needed if not line.startswith("torch")}

"""The house rules that neither the linter nor the import contracts can see."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import IncrementalSegLib

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "IncrementalSegLib"
FILES = sorted(LIBRARY.rglob("*.py"))
HEAVY = ["torch", "monai", "pydantic", "typer", "numpy", "safetensors", "filelock"]
SLICER = ["slicer", "qt", "ctk", "vtk"]
MOST_LINES = 350

# What a front end imports in a Python that has none of the HEAVY packages.
LIGHT = [
    "IncrementalSegLib",
    "IncrementalSegLib.errors",
    "IncrementalSegLib.wire.client",
    "IncrementalSegLib.wire.process",
    "IncrementalSegLib.wire.reporter",
    "IncrementalSegLib.registry",
    "IncrementalSegLib.store.summary",
    "IncrementalSegLib.store.manifest",
    "IncrementalSegLib.structures",
    "IncrementalSegLib.terminology",
    "IncrementalSegLib.types",
]

MACHINE_PATH = re.compile(r"(?<![\w.~])(?:/(?:home|root|work|opt|tmp|mnt|Users)/|[A-Z]:\\\\?Users)")

PROBE = """
import importlib, json, sys, traceback

modules, blocked = json.loads(sys.argv[1])

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"{name} is not there", name=name)

sys.meta_path.insert(0, Absent())
failed = {}
for module in modules:
    try:
        importlib.import_module(module)
    except BaseException:
        failed[module] = traceback.format_exc(limit=-2)
print(json.dumps({"failed": failed, "loaded": sorted({name.partition(".")[0] for name in sys.modules})}))
"""


def probe(modules: list[str], blocked: list[str]) -> set[str]:
    """Import ``modules`` in a fresh interpreter without ``blocked``; return the top-level names it has loaded."""
    command = [sys.executable, "-c", PROBE, json.dumps([modules, blocked])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert not answer["failed"], "\n".join(f"{name}\n{text}" for name, text in answer["failed"].items())
    return set(answer["loaded"])


def test_front_end_modules_import_without_heavy_packages():
    assert probe(LIGHT, HEAVY).isdisjoint(HEAVY)


def test_front_end_modules_load_no_heavy_package_that_is_there():
    assert probe(LIGHT, []).isdisjoint(HEAVY)


def test_pictures_are_drawn_with_numpy_alone():
    """The panel draws its thumbnails with what Slicer brings, before anything is installed."""
    absent = [name for name in HEAVY if name != "numpy"] + ["jinja2", "scipy", "SimpleITK"]
    assert probe(["IncrementalSegLib.reports.pictures"], absent).isdisjoint(absent)


def test_headers_are_read_with_numpy_alone():
    """The panel compares a scan with its file on Slicer's main thread, where loading SimpleITK would be felt."""
    absent = [name for name in HEAVY if name != "numpy"] + ["scipy", "SimpleITK"]
    assert probe(["IncrementalSegLib.volumes.headers"], []).isdisjoint(absent)


def test_every_module_imports_without_slicer():
    modules = [name for name in map(module_name, FILES) if not name.endswith("__main__")]
    assert probe(modules, SLICER).isdisjoint(SLICER)


@pytest.mark.parametrize("name", IncrementalSegLib.__all__)
def test_public_name_resolves_and_is_documented(name):
    entry = getattr(IncrementalSegLib, name)
    assert name in dir(IncrementalSegLib)
    assert entry.__doc__


def test_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="segmnt"):
        IncrementalSegLib.segmnt  # noqa: B018  (the access is what is tested)


def test_files_are_short():
    lengths = {str(file.relative_to(ROOT)): len(file.read_text("utf-8").splitlines()) for file in FILES}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_package_files_hold_only_a_docstring():
    packages = [file for file in FILES if file.name == "__init__.py" and file.parent != LIBRARY]
    assert packages
    for file in packages:
        body = ast.parse(file.read_text("utf-8")).body
        assert len(body) == 1, file
        assert ast.get_docstring(ast.Module(body, [])), file


def test_every_folder_with_code_is_a_package():
    assert {file.parent for file in FILES if not (file.parent / "__init__.py").is_file()} == set()


def test_library_has_no_dangerous_call():
    found = [f"{file.relative_to(ROOT)}:{fault}" for file in FILES for fault in faults(file.read_text("utf-8"))]
    allowed = [fault for fault in found if fault.startswith("IncrementalSegLib/cli/") and fault.endswith("print")]
    assert sorted(set(found) - set(allowed)) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("torch.load(f)", ["1 torch.load without weights_only"]),
        ("torch.load(f, weights_only=False)", ["1 torch.load without weights_only"]),
        ("import torch as t\nt.load(f)", ["2 torch.load without weights_only"]),
        ("from torch import load\nload(f)", ["1 import of torch.load"]),
        ("torch.load(f, map_location='cpu', weights_only=True)", []),
        ("np.load(f)\njson.load(f)", []),
        ("np.load(f, allow_pickle=True)", ["1 allow_pickle"]),
        ("import pickle", ["1 import of pickle"]),
        ("from pickle import loads", ["1 import of pickle"]),
        ("import cloudpickle.x", ["1 import of cloudpickle"]),
        ("eval('1')\nexec('2')", ["1 eval", "2 exec"]),
        ("model.eval()", []),
        ("subprocess.run('ls', shell=True)", ["1 shell"]),
        ("subprocess.run(['ls'], shell=False)", []),
        ("os.system('ls')", ["1 os.system"]),
        ("print(1)", ["1 print"]),
        ("console.print(1)", []),
    ],
)
def test_fault_finder_finds(source, expected):
    assert list(faults(source)) == expected


OF_OTHERS = re.compile(r"--(disable_tta|nnodes|nproc-per-node|node-rank|master-addr|nodes|ntasks-per-node) ?")
"""Options of nnU-Net, torchrun and srun, which the library writes into commands of these programs."""


def test_messages_of_the_library_name_no_option_of_the_command_line():
    others = {"benchmarks", "cli", "reports"}  # command lines, and pages whose style sheets have names like these
    found = {
        f"{file.relative_to(ROOT)}: {text}"
        for file in FILES
        if file.relative_to(LIBRARY).parts[0] not in others and file.name != "__main__.py"
        for text in texts(file.read_text("utf-8"))
        if re.search(r"(?<![\w-])--[a-z]", OF_OTHERS.sub("", text))
    }
    assert found == set()


def test_no_file_holds_a_path_of_a_machine():
    texts = [
        *FILES,
        *(ROOT / "Testing").rglob("*.py"),
        ROOT / "Makefile",
        ROOT / ".ci" / "run",
        ROOT / "pyproject.toml",
    ]
    found = {
        f"{file.relative_to(ROOT)}:{number}"
        for file in texts
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1)
        if MACHINE_PATH.search(line)
    }
    assert found == set()


@pytest.mark.parametrize(
    ("line", "hit"),
    [
        ("open('/" + "home/anna/scan.nii')", True),
        ("/" + "work/shared", True),
        ("C:" + "\\Users\\anna", True),
        ("https://example.org/home/page", False),
        ("models/home/x and ~/work/x", False),
    ],
)
def test_path_finder_finds(line, hit):
    assert bool(MACHINE_PATH.search(line)) is hit


def test_every_dependency_is_pinned_to_a_version_it_allows():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
    ]
    pins = {}
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            name, _, version = line.partition("==")
            pins[canonicalize_name(name)] = version
    for requirement in map(Requirement, wanted):
        version = pins.get(canonicalize_name(requirement.name))
        assert version, f"{requirement.name} is not in constraints.txt"
        assert requirement.specifier.contains(version), f"{requirement} does not allow {version}"
    assert all("+" not in version for version in pins.values()), "a local build of one machine is pinned"


def test_no_fixture_of_the_session_patches_the_library():
    """Its patch would last until the end of the run and reach into every later file."""
    found = [
        f"{file.relative_to(ROOT)}: {fixture.name}"
        for file in (ROOT / "Testing").rglob("*.py")
        for fixture in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(fixture, ast.FunctionDef)
        and any("scope='session'" in ast.unparse(decorator) for decorator in fixture.decorator_list)
        and re.search(r"with [^\n]*(MonkeyPatch|small_quick)[^\n]*\n(.*\n)*?\s+yield", ast.unparse(fixture) + "\n")
    ]
    assert found == []


def texts(source: str) -> Iterator[str]:
    """Yield the texts in ``source`` that are no docstrings."""
    tree = ast.parse(source)
    statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in statements:
            yield node.value


def module_name(file: Path) -> str:
    """Return the dotted name of a file of the library."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def faults(source: str) -> Iterator[str]:
    """Yield ``LINE WHAT`` for everything in ``source`` that the library must not do."""
    tree = ast.parse(source)
    torch_names = {"torch"} | {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.name == "torch"
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (f"{node.lineno} {what}" for alias in node.names for what in import_faults(alias.name, ""))
        elif isinstance(node, ast.ImportFrom):
            yield from (
                f"{node.lineno} {what}" for alias in node.names for what in import_faults(node.module or "", alias.name)
            )
        elif isinstance(node, ast.Call):
            yield from (f"{node.lineno} {what}" for what in call_faults(node, torch_names))


def import_faults(module: str, name: str) -> Iterator[str]:
    """Yield what is wrong with importing ``name`` from ``module``."""
    top = module.partition(".")[0]
    if top in {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}:
        yield f"import of {top}"
    if (module, name) == ("torch", "load"):
        yield "import of torch.load"


def call_faults(call: ast.Call, torch_names: set[str]) -> Iterator[str]:
    """Yield what is wrong with a call."""
    called = ast.unparse(call.func)
    keywords = {word.arg: word.value for word in call.keywords}
    true = {name for name, value in keywords.items() if isinstance(value, ast.Constant) and value.value is True}
    if called in {f"{name}.load" for name in torch_names} and "weights_only" not in true:
        yield "torch.load without weights_only"
    if called in {"eval", "exec", "os.system", "os.popen", "print"}:
        yield called
    if "allow_pickle" in true:
        yield "allow_pickle"
    if "shell" in true:
        yield "shell"

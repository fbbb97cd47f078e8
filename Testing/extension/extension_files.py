"""Where the parts of the extension lie, and what its CMake files say."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "IncrementalSegLib"
MODULE = ROOT / "IncrementalSeg"
PANEL = MODULE / "IncrementalSegPanel"
FORMS = sorted((MODULE / "Resources" / "UI").glob("*.ui"))
SOURCES = sorted([*MODULE.glob("*.py"), *PANEL.rglob("*.py")])


def cmake_value(path, name):
    """Return the words that a CMake file gives a variable."""
    found = re.search(rf"^set\({name}\s+(.*?)\)\s*$", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert found, f"{path.name} does not set {name}"
    return [word.strip('"') for word in re.findall(r'"[^"]*"|[^\s"]+', found[1])]

"""Print the size of the project: ``python Testing/measure.py``."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

ROOT = Path(__file__).resolve().parents[1]
PARTS = {
    "library": "IncrementalSegLib",
    "panel": "IncrementalSeg",
    "tests": "Testing",
}


def public(file: Path) -> Iterator[ast.ClassDef | ast.FunctionDef]:
    """Yield the public functions and classes at the top level of a file."""
    for node in ast.parse(file.read_text("utf-8")).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith("_"):
            yield node


def shared_class_names(*folders: str) -> dict[str, list[str]]:
    """Return the names that several public classes have, with their files."""
    found: dict[str, list[str]] = {}
    for file in (file for folder in folders for file in sorted((ROOT / folder).rglob("*.py"))):
        for node in public(file):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(str(file.relative_to(ROOT)))
    return {name: files for name, files in sorted(found.items()) if len(files) > 1}


def main() -> None:
    """Print lines, files and public names of each part, and the folders of the library by size."""
    for part, folder in PARTS.items():
        files = sorted((ROOT / folder).rglob("*.py"))
        lines = [len(file.read_text("utf-8").splitlines()) for file in files]
        names = sum(1 for file in files for _ in public(file))
        print(
            f"{part}: {len(files)} files, {sum(lines)} lines (median {median(lines):.0f}, p90 "
            f"{quantiles(lines, n=10)[-1]:.0f}, longest {max(lines)}), {names} public functions and classes"
        )
    sizes: Counter[str] = Counter()
    for file in (ROOT / "IncrementalSegLib").rglob("*.py"):
        sizes[file.relative_to(ROOT / "IncrementalSegLib").parts[0]] += len(file.read_text("utf-8").splitlines())
    for name, size in sizes.most_common():
        print(f"  {size:6} {name}")
    shared = shared_class_names("IncrementalSegLib", "IncrementalSeg")
    print(f"classes of one name: {len(shared)}")
    for name, places in shared.items():
        print(f"  {name}: {', '.join(places)}")


if __name__ == "__main__":
    main()

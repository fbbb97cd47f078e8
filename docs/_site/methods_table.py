"""Write the tables of methods in ``docs/methods.md`` from the registry: ``python docs/_site/methods_table.py``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "methods.md"
BLOCK = re.compile(r"(<!-- methods: (?P<outputs>[\w, -]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(text: str) -> str:
    """Return the page with its tables written anew.

    A table stands between ``<!-- methods: OUTPUT, ... -->`` and ``<!-- end -->``.

    Raises:
        ValueError: A method is in no table, or the page names an output that no method has.
    """
    sys.path.insert(0, str(ROOT))
    from IncrementalSegLib.methods.base.catalogue import catalogue

    methods = catalogue()["methods"]
    named = {name for found in BLOCK.finditer(text) for name in found["outputs"].split(", ")}
    if named != (known := {item["output"] for item in methods}):
        raise ValueError(f"The tables of {PAGE.name} are of the outputs {sorted(named)}; methods have {sorted(known)}.")

    def table(found: re.Match[str]) -> str:
        wanted = found["outputs"].split(", ")
        rows = [
            f"| `{item['name']}` | {item['summary'].removesuffix('.')} | {_needs(item['needs'])} |\n"
            for item in methods
            if item["output"] in wanted
        ]
        return f"{found[1]}| method | how | needs |\n|---|---|---|\n{''.join(rows)}{found[3]}"

    return BLOCK.sub(table, text)


def _needs(needs: list[str]) -> str:
    words = {
        "exemplars": "exemplars",
        "prototypes": "class means",
        "memory:fisher": "Fisher information",
        "memory:masks": "masks",
    }
    return ", ".join(words.get(need, need) for need in needs if need != "teacher") or "–"


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text("utf-8")), "utf-8")

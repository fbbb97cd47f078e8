"""Hooks of MkDocs: pages from outside ``docs``, links between them, and a page for each folder of the library.

Documents are written for GitHub, with links relative to their own place in the repository. Here such a link leads to
the page of the site where there is one, and to the file on GitHub where there is none.
"""

from __future__ import annotations

import ast
import logging
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = "IncrementalSegLib"
GITHUB = "https://github.com/IncrementalSeg/SlicerIncrementalSeg"
ELSEWHERE = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "IncrementalSegLib/methods/README.md": "adding-a-method.md",
}
"""Pages that are not in ``docs``, with their place in the site."""
PICTURES = "Resources/Screenshots"
LINK = re.compile(r'(?P<before>\]\(|src=")(?P<target>(?!https?:|mailto:|#)[^)"#\s]+)')
FETCHED = re.compile(
    r'<(?:script|img|iframe|link rel="(?:stylesheet|preconnect)")[^>]*(?:src|href)="(?:https?:)?//[^"]*'
)

log = logging.getLogger("mkdocs.hooks.documents")


def on_config(config: Any) -> None:
    """Fill the parts of the navigation that follow from folders."""
    config.nav = _expanded(config.nav)


def on_files(files: Files, config: Any) -> Files:
    """Add the pages from elsewhere, the pictures and the reference."""
    for source, place in ELSEWHERE.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / source)))
    for path in sorted((ROOT / PICTURES).iterdir()):
        files.append(File.generated(config, f"pictures/{path.name}", abs_src_path=str(path)))
    folders = _folders()
    for folder in folders:
        files.append(File.generated(config, _reference(folder), content=_modules(folder)))
    index = "".join(
        f"- [{_title(folder)}]({Path(_reference(folder)).name}): {_summary(folder)}\n" for folder in folders
    )
    files.append(File.generated(config, "reference/index.md", content=f"# Reference\n\n{index}"))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turn links of the repository into links of the site."""
    place = page.file.src_uri
    origin = next((source for source, target in ELSEWHERE.items() if target == place), f"docs/{place}")

    def link(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(origin), match["target"]))
        return match["before"] + _address(target, place, origin)

    return LINK.sub(link, markdown) if not place.startswith("reference/") else markdown


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Warn of anything that a reader's browser would fetch from elsewhere."""
    for fetched in FETCHED.findall(output):
        log.warning("%s fetches from elsewhere: %s", page.file.src_uri, fetched)
    return output


def _expanded(nav: Any) -> Any:
    if isinstance(nav, list):
        return [_expanded(item) for item in nav]
    if isinstance(nav, dict):
        return {title: _expanded(item) for title, item in nav.items()}
    if nav == "reference/":
        return ["reference/index.md", *({_title(folder): _reference(folder)} for folder in _folders())]
    if nav.endswith("/"):
        pages = sorted(path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs" / nav).rglob("*.md"))
        return sorted(pages, key=lambda page: page not in (f"{nav}index.md", f"{nav}README.md"))
    return nav


def _folders() -> list[Path]:
    return sorted({path.parent for path in (ROOT / LIBRARY).rglob("*.py")})


def _address(target: str, place: str, origin: str) -> str:
    if not (ROOT / target).exists():
        log.warning("%s links to %s, which does not exist", origin, target)
    here = posixpath.dirname(place) or "."
    if target.startswith("docs/"):
        return posixpath.relpath(target.removeprefix("docs/"), here)
    if target in ELSEWHERE:
        return posixpath.relpath(ELSEWHERE[target], here)
    if target.startswith(f"{PICTURES}/"):
        return posixpath.relpath(target.replace(PICTURES, "pictures"), here)
    return f"{GITHUB}/{'tree' if (ROOT / target).is_dir() else 'blob'}/main/{target}"


def _dotted(folder: Path) -> str:
    return ".".join(folder.relative_to(ROOT).parts)


def _title(folder: Path) -> str:
    return _dotted(folder).removeprefix(f"{LIBRARY}.")


def _reference(folder: Path) -> str:
    return f"reference/{_dotted(folder)}.md"


def _modules(folder: Path) -> str:
    names = [_dotted(path.with_suffix("")) for path in sorted(folder.glob("*.py")) if not path.stem.startswith("__")]
    own = (
        f"::: {_dotted(folder)}\n    options:\n      members: []\n      show_root_heading: false\n"
        if folder != ROOT / LIBRARY
        else f"::: {LIBRARY}\n"
    )
    return "\n\n".join([f"# {_dotted(folder)}", own, *(f"::: {name}" for name in names)])


def _summary(folder: Path) -> str:
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    return text.partition("\n\n")[0].replace("\n", " ")

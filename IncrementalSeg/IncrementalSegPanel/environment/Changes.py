"""The changes that an installation has made to Slicer's Python, and how to take them back."""

from __future__ import annotations

import sys
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.utils import canonicalize_name


@dataclass(frozen=True)
class Changes:
    """Packages that came, went or have another version.

    Attributes:
        added: Version of each new package.
        replaced: Version before and after.
        removed: Version of each package that is gone.
    """

    added: dict[str, str]
    replaced: dict[str, tuple[str, str]]
    removed: dict[str, str]

    @classmethod
    def between(cls, before: Mapping[str, str], after: Mapping[str, str]) -> Changes:
        """Return what differs between two answers of :func:`installedPackages`."""
        return cls(
            added={name: version for name, version in after.items() if name not in before},
            replaced={name: (old, after[name]) for name, old in before.items() if after.get(name, old) != old},
            removed={name: version for name, version in before.items() if name not in after},
        )

    def loaded(self, modules: Container[str]) -> list[str]:
        """Return the packages whose former modules are in the memory of this Python until it starts again."""
        return [name for name in (*self.replaced, *self.added) if any(one in modules for one in _modules(name))]

    def undo(self, python: str) -> list[str]:
        """Return the command lines that bring the former packages back.

        Args:
            python: Command that starts Slicer's Python.
        """
        lines = []
        if self.added:
            lines.append(f'"{python}" -m pip uninstall --yes {" ".join(sorted(self.added))}')
        former = {**self.removed, **{name: old for name, (old, _) in self.replaced.items()}}
        if former:
            pins = " ".join(f'"{name}=={version}"' for name, version in sorted(former.items()))
            lines.append(f'"{python}" -m pip install --no-deps {pins}')
        return lines

    def describe(self, python: str) -> str:
        """Return all of it as lines of text, with the way back."""
        lines = [f"added {name} {version}" for name, version in sorted(self.added.items())]
        lines += [f"replaced {name} {old} by {new}" for name, (old, new) in sorted(self.replaced.items())]
        lines += [f"removed {name} {version}" for name, version in sorted(self.removed.items())]
        back = self.undo(python)
        return "\n".join([*(lines or ["no package has changed"]), *(["to undo:", *back] if back else [])])


def installedPackages(folders: Iterable[str] | None = None) -> dict[str, str]:
    """Return the version of every package that Python finds, by canonical name.

    The names of the folders of metadata say both; reading the metadata itself would stop the panel for a moment.

    Args:
        folders: Where to look, first found counts; by default where Python imports from.
    """
    found: dict[str, str] = {}
    for folder in sys.path if folders is None else folders:
        for entry in Path(folder or ".").glob("*.dist-info"):
            name, _, version = entry.stem.rpartition("-")
            if name:
                found.setdefault(canonicalize_name(name), version)
    return found


def _modules(package: str) -> list[str]:
    """Return the names under which a package is imported."""
    try:
        named = distribution(package).read_text("top_level.txt") or ""
    except PackageNotFoundError:
        named = ""
    return named.split() or [package.replace("-", "_")]

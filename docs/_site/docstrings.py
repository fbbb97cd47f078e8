"""Extension of Griffe: docstrings as they are written for Python's help, made ready for Markdown."""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":\w+:`~?\.*([^`]+)`")
CODE = re.compile(r"(``?[^`]+``?)")


class Docstrings(griffe.Extension):
    """Show roles of Sphinx as code, examples as code, and brackets of formulas as they are."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rewrite the docstring of a module, class, function or attribute."""
        if obj.docstring:
            obj.docstring.value = plain(obj.docstring.value)


def plain(text: str) -> str:
    """Return a docstring without what Markdown would misread."""
    text = ROLE.sub(r"`\1`", text)
    text = re.sub(r"^(\s*)Example:$", r"\1Examples:", text, flags=re.MULTILINE)
    return "".join(part if part.startswith("`") else part.replace("][", r"]\[") for part in CODE.split(text))

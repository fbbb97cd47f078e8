"""Expressions in the configuration of a MONAI bundle (``$...``): a few common ones, taken apart and never evaluated."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

REFERENCE = re.compile(r"@[A-Za-z_]\w*(?:(?:#|::)\w+)*")
"""A reference to another part of the configuration."""

_LONGEST = 1000  # characters of an expression
_LARGEST = 10_000  # characters or parts of a sum: sums of sums grow without end
_KNOWN = {
    "monai.utils.CommonKeys.IMAGE": "image",
    "monai.utils.CommonKeys.LABEL": "label",
    "monai.utils.CommonKeys.PRED": "pred",
} | {f"{home}.{kind}": kind for home in ("torch", "numpy", "np") for kind in ("float32", "float64")}  # plain meanings


@dataclass(frozen=True)
class Expression:
    """An expression that is not understood."""

    text: str

    def __str__(self) -> str:
        """Return its text."""
        return self.text


class _UnknownError(Exception):
    """Part of an expression is not understood."""


def evaluated(text: str, follow: Callable[[str], Any]) -> Any:
    """Return the value of an expression that is understood, else the :class:`Expression`.

    Understood are literals, references, sums of numbers, texts or lists, ``len``, ``a if b else c``, a few names, and
    ``x.to(...)``, which is x.

    Args:
        text: The expression, with its ``$``.
        follow: Returns the value of a reference.
    """
    if len(text) > _LONGEST:
        return Expression(text)
    references: dict[str, str] = {}

    def placed(match: re.Match[str]) -> str:
        name = f"reference_{len(references)}_"
        references[name] = match[0]
        return name

    try:
        tree = ast.parse(REFERENCE.sub(placed, text[1:]).strip(), mode="eval")
        return _value(tree.body, lambda name: _followed(name, references, follow))
    except (_UnknownError, SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
        return Expression(text)


_Follow = Callable[[str], Any]


def _value(node: ast.expr, follow: _Follow) -> Any:
    taken = _PARTS.get(type(node))
    if taken is None:
        raise _UnknownError
    return taken(node, follow)


def _followed(name: str, references: Mapping[str, str], follow: _Follow) -> Any:
    value = follow(references[name]) if name in references else Expression(name)
    if isinstance(value, Expression):
        raise _UnknownError
    return value


def _constant(node: Any, _: _Follow) -> Any:
    if node.value is None or isinstance(node.value, str | bool | int | float):
        return node.value
    raise _UnknownError


def _list(node: Any, follow: _Follow) -> list[Any]:
    return [_value(part, follow) for part in node.elts]


def _negative(node: Any, follow: _Follow) -> Any:
    value = _value(node.operand, follow)
    if isinstance(node.op, ast.USub) and isinstance(value, int | float):
        return -value
    raise _UnknownError


def _sum(node: Any, follow: _Follow) -> Any:
    one, other = (_value(part, follow) for part in (node.left, node.right))
    alike = any(isinstance(one, kinds) and isinstance(other, kinds) for kinds in (str, list, int | float))
    if isinstance(node.op, ast.Add) and alike:
        if isinstance(one, str | list) and len(one) + len(other) > _LARGEST:
            raise _UnknownError
        return one + other
    raise _UnknownError


def _choice(node: Any, follow: _Follow) -> Any:
    test = _value(node.test, follow)
    if not isinstance(test, bool):
        raise _UnknownError
    return _value(node.body if test else node.orelse, follow)


def _call(node: Any, follow: _Follow) -> Any:
    if isinstance(node.func, ast.Attribute) and node.func.attr == "to":
        return _value(node.func.value, follow)
    named = isinstance(node.func, ast.Name) and node.func.id == "len"
    value = _value(node.args[0], follow) if named and len(node.args) == 1 and not node.keywords else None
    if isinstance(value, str | list | dict):
        return len(value)
    raise _UnknownError


def _attribute(node: Any, _: _Follow) -> Any:
    if (name := ast.unparse(node)) in _KNOWN:
        return _KNOWN[name]
    raise _UnknownError


_PARTS: dict[type[ast.expr], Callable[[Any, _Follow], Any]] = {
    ast.Constant: _constant,
    ast.Name: lambda node, follow: follow(node.id),
    ast.List: _list,
    ast.Tuple: _list,
    ast.UnaryOp: _negative,
    ast.BinOp: _sum,
    ast.IfExp: _choice,
    ast.Call: _call,
    ast.Attribute: _attribute,
}

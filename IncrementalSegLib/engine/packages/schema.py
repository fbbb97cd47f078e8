"""Schemas of the documents in a package, leaving and entering this computer; no other key passes.

Other keys are dropped on both ways; so no path of this computer leaves it, and nothing that was not checked is ever
written.
"""

from __future__ import annotations

from typing import Any

from IncrementalSegLib.engine.documents import FORMS
from IncrementalSegLib.engine.history import FORGOTTEN
from IncrementalSegLib.names import plain
from IncrementalSegLib.types import Json


def allowed(kind: str, document: Json) -> Json:
    """Return what a package may hold of one document, with every value of its type.

    Raises:
        pydantic.ValidationError: Something is missing or of another type.
    """
    return FORMS[kind].model_validate(document).model_dump(mode="json", exclude_unset=True)


def plain_texts(item: Any) -> Any:
    """Return a document whose texts and keys hold nothing that steers or deceives what shows them."""
    if isinstance(item, dict):
        return {plain(str(key)): plain_texts(part) for key, part in item.items()}
    if isinstance(item, list | tuple):
        return [plain_texts(part) for part in item]
    return plain(item) if isinstance(item, str) else item


def pseudonymised(documents: dict[str, Json]) -> dict[str, Json]:
    """Return the documents with cases and patients numbered instead of named, the same number for the same name.

    Forgotten ones keep their mark.

    Args:
        documents: Allowed documents, with ``history``, ``exemplars`` and ``record``.
    """
    numbers: dict[str, dict[str, str]] = {"case": {}, "patient": {}}

    def number(kind: str, name: str) -> str:
        if name == FORGOTTEN:
            return name
        known = numbers[kind]
        return known.setdefault(name, f"{kind} {len(known) + 1}")

    def renamed(item: Any) -> Any:
        if isinstance(item, list):
            return [renamed(part) for part in item]
        if not isinstance(item, dict):
            return item
        if set(numbers) <= set(item):
            return item | {kind: number(kind, item[kind]) for kind in numbers}
        return {key: renamed(part) for key, part in item.items()}

    order = ("history", "exemplars", "record")  # the same numbers whether or not exemplars are included
    return documents | {kind: renamed(documents[kind]) for kind in order}

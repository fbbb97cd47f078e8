"""Source of the text embeddings of a version's structures, in words."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IncrementalSegLib.store.record import VersionRecord

_HASH = "the hash of the name, which carries no meaning"


def text_source(record: VersionRecord) -> str:
    """Return a sentence on the text embeddings of a version's structures; empty where its network reads no names."""
    entries = record.architecture.get("output", {})
    found: dict[str, list[str]] = {}
    for item in record.structures:
        source = entries.get(item.id, {}).get("source", "")
        if source:
            found.setdefault(_words(source), []).append(item.name)
    if not found:
        return ""
    if _HASH in found and importlib.util.find_spec("wordllama") is None:
        found[f"{_HASH} (the extra [text] installs WordLlama)"] = found.pop(_HASH)
    parts = [words if len(found) == 1 else f"{words}: {', '.join(names)}" for words, names in found.items()]
    return f"Text embeddings of names: {'; '.join(parts)}."


def _words(source: str) -> str:
    kind, _, detail = source.partition(" ")
    return {"wordllama": f"WordLlama {detail}", "table": f"a table with SHA-256 {detail[:12]}…"}.get(kind, _HASH)

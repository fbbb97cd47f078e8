"""Search for the names of a patient in all files of a model."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from IncrementalSegLib.engine.privacy.naming import Names
from IncrementalSegLib.store.lock import LOCK
from IncrementalSegLib.store.reader import VERSIONS

WORDS = frozenset({
    "accept", "action", "architecture", "basis", "created", "descriptor", "descriptor_version", "device", "files",
    "grid", "groups", "held_back_by", "id", "improved", "kind", "labels_sha256", "layer", "libraries", "looked_for",
    "method", "new", "normalisation", "old", "options", "outlined", "output", "precision", "preprocessing", "present",
    "preset", "reasons", "retention", "sha256", "structure", "taught", "terminology", "values", "verdict",
})  # fmt: skip
"""Keys whose texts are words of the program or names of structures and labels, all the way down."""

SENTENCES = frozenset({"why", "sentence"})
"""Keys whose texts are full of numbers, which are no names."""

_LAYERS = ("weights", "memory", "prototypes")
"""Files whose tensors are called after the layers of the network, which are numbered, and uuids."""

OWN_KEY = re.compile(r"[a-z_]*")
"""Keys that the program gives; nothing that a person is called is a key of its documents."""

_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")


@dataclass(frozen=True)
class Trace:
    """A place where a name stands.

    Attributes:
        file: Path below the model's folder.
        where: The place in the file.
        word: The name is a whole word of the program there, or all of the name of a structure or label.
    """

    file: str
    where: str
    word: bool = False

    def __str__(self) -> str:
        return f"{self.file} ({self.where})"


def is_word(way: tuple[str, ...], names: Names) -> bool:
    """Return whether what stands at a place of a document is a word and no name."""
    keys = {*way, *(("structure",) if "structures" in way and way[-1:] == ("name",) else ())}
    return bool(WORDS & keys) or (bool(SENTENCES & keys) and names.says_little)


def find_traces(model: Path, names: Names) -> tuple[list[Trace], int]:
    """Look through all files of a model: their names, texts, tensors' names, and bytes.

    Args:
        model: The model's folder.
        names: What is looked for.

    Returns:
        The traces, and how many files there are.
    """
    found: list[Trace] = []
    files = 0
    for path in sorted(model.rglob("*")):
        place = str(path.relative_to(model))
        if names.are_in(path.name):
            found.append(Trace(place, "its name"))
        if path.is_file() and place != LOCK:
            files += 1
            found += (Trace(place, where, word) for where, word in _in_file(path, place, names))
    return found, files


def _in_file(path: Path, place: str, names: Names) -> Iterator[tuple[str, bool]]:
    data = path.read_bytes()
    if names.are_hashed_in(data):
        yield "a hash of the name", False
    if path.suffix == ".safetensors":
        length = int.from_bytes(data[:8], "little")
        layers = place.startswith(VERSIONS) and path.name.startswith(_LAYERS)
        for where, _ in _in_json(data[8 : 8 + length], names, ours=False):
            if not (layers and names.says_little):
                yield f"the name of a tensor {where}".strip(), layers
        if names.are_in_bytes(data[8 + length :]):
            yield "its bytes", False
    elif path.suffix == ".json":
        yield from _in_json(data, names, ours=place == "model.json" or place.startswith(VERSIONS))
    elif not names.says_little:
        yield from _in_text(data, names)


def _in_json(data: bytes, names: Names, *, ours: bool) -> Iterator[tuple[str, bool]]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        yield from _in_text(data, names)
        return
    for way, text in _texts(document, ()):
        if not (ours and is_word(way, names)):
            if names.are_in(text):
                yield ".".join(way), False
        elif names.are_among_words(text) and not names.says_little:
            yield f"{'.'.join(way)}: {text!r}", names.equal(text) or way[-1:] == ("terminology",)


def _texts(item: Any, way: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield every text of a document with the keys that lead to it; a key is a text too."""
    if isinstance(item, dict):
        for key, part in item.items():
            if not OWN_KEY.fullmatch(key):
                yield way, key
            yield from _texts(part, (*way, key))
    elif isinstance(item, list):
        for number, part in enumerate(item):
            yield from _texts(part, (*way, str(number)))
    elif isinstance(item, str):
        yield way, item


def _in_text(data: bytes, names: Names) -> Iterator[tuple[str, bool]]:
    """Look through what is no document: logs, pages, pictures."""
    try:
        text = data.replace(b"\0", b"").decode()
    except UnicodeDecodeError:
        if names.are_in_bytes(data):
            yield "its bytes", False
        return
    spelled = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), html.unescape(text))
    if names.are_in(text) or names.are_in(spelled):
        yield "its text", False

"""Text embeddings: a vector for the name of a structure, from a table, WordLlama, or the name's hash.

The words that structures have in common say nothing about one of them, so a mean is subtracted from every vector that
was made by a language model: the mean of a table, or of the names that :mod:`.terminology` knows.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from IncrementalSegLib.errors import OptionError, UnknownNameError
from IncrementalSegLib.names import name_key
from IncrementalSegLib.terminology import known_names

TEXT_WIDTH = 512
"""The longest text embedding, that of CLIP ViT-B/32; shorter ones are padded with zeros."""

SEEDED = "seeded"
"""Source of an embedding that is made from the hash of a name."""

_SAME = 1e-6  # distance below which two unit vectors count as equal

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class TextEmbedding:
    """The embedding of one name.

    Attributes:
        name: The name.
        vector: ``(512,)`` float64 of unit length, centred unless it was made from a hash.
        source: ``table SHA256``, ``wordllama VERSION`` or ``seeded``.
    """

    name: str
    vector: Vector
    source: str


def text_embeddings(names: Sequence[str], table: Path | None = None) -> dict[str, TextEmbedding]:
    """Return the embedding of each name.

    Without a table they come from WordLlama where it is installed (the extra ``text``), else from
    :func:`seeded_direction`.

    Args:
        names: Names of structures.
        table: A file with a vector per name: ``.safetensors``, a tensor for each name, or ``.npy``, an array
            ``(names, width)``, beside which a ``.txt`` lists the names, one per line.

    Raises:
        OptionError: The table cannot be read, has vectors of several lengths or of more than 512 values, a value that
            is not finite, a vector of zeros, a name twice, or one vector for two of the names.
        UnknownNameError: A name is not in the table.
    """
    if table is not None:
        return _from_table(names, Path(table))
    if importlib.util.find_spec("wordllama") is not None:
        return _from_wordllama(names)
    return {name: seeded_embedding(name) for name in names}


def seeded_embedding(name: str) -> TextEmbedding:
    """Return the embedding of a name that is made from its hash."""
    return TextEmbedding(name, seeded_direction(name), SEEDED)


def seeded_direction(name: str, attempt: int = 0) -> Vector:
    """Return the direction ``(512,)`` that a name alone decides: the bits of its SHA-512 as signs.

    The directions of two names are nearly orthogonal (cosine 0 ± 0.04).

    Args:
        name: The name, compared as :func:`name_key` does.
        attempt: Another number gives another direction.
    """
    text = name_key(name) + (f"\n{attempt}" if attempt else "")
    bits = np.unpackbits(np.frombuffer(hashlib.sha512(text.encode()).digest(), dtype=np.uint8))
    direction: Vector = (2.0 * bits - 1) / TEXT_WIDTH**0.5
    return direction


def _from_wordllama(names: Sequence[str]) -> dict[str, TextEmbedding]:
    import wordllama

    # The weights are in the package, but it looks for its tokeniser in a folder of another name and would download it.
    model = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
    keys = [name_key(name) for name in names]
    common = known_names()
    found = np.asarray(model.embed([*common, *keys], norm=True), dtype=np.float64)
    centre = found[: len(common)].mean(0)
    source = f"wordllama {version('wordllama')}"
    return {
        name: TextEmbedding(name, _prepared(vector - centre), source)
        for name, vector in zip(names, found[len(common) :], strict=True)
    }


def _from_table(names: Sequence[str], path: Path) -> dict[str, TextEmbedding]:
    rows, digest = _read_table(path)
    spelled = {name_key(name): name for name in rows}
    for name in names:
        if name_key(name) not in spelled:
            why = "Every structure of the step needs one."
            raise UnknownNameError(f"text embedding in {path.name}", name, rows, why)
    _check_rows(rows, path)
    unit = {name: _unit(vector) for name, vector in rows.items()}
    # As if the table had one more row, of zeros: of n rows minus their mean one would depend on the others.
    centre = np.sum([unit[name] for name in sorted(unit)], axis=0) / (len(unit) + 1)
    found = {name: unit[spelled[name_key(name)]] for name in names}
    _refuse_twins(found, path)
    return {name: TextEmbedding(name, _prepared(vector - centre), f"table {digest}") for name, vector in found.items()}


def _read_table(path: Path) -> tuple[dict[str, Vector], str]:
    """Return the vectors by name and the sha256 of the file.

    Raises:
        OptionError: It cannot be read, is no table, or names something twice.
    """
    try:
        data = path.read_bytes()
        if path.suffix == ".safetensors":
            loaded: Mapping[str, Any] = safetensors.numpy.load(data)
            rows: Iterable[tuple[str, Any]] = loaded.items()
        elif path.suffix == ".npy":
            array = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
            names = _listed(path.with_suffix(".txt"))
            if array.ndim != 2 or len(array) != len(names):
                raise OptionError(
                    f"The table {path.name} has the shape {array.shape}, for a list of length {len(names)} in "
                    f"{path.stem}.txt.",
                    todo="Give one row per name.",
                )
            rows = zip(names, array, strict=True)
        else:
            raise OptionError(
                f"{path.name} is not a table of text embeddings.",
                todo="Use .safetensors with a tensor per name, or .npy with the names in a .txt beside it.",
            )
        return _by_name(rows, path), hashlib.sha256(data).hexdigest()
    except FileNotFoundError as error:
        raise OptionError(f"The text embeddings {path} are not there.", todo="Check the path.") from error
    except (OSError, ValueError, KeyError, MemoryError, safetensors.SafetensorError) as error:
        raise OptionError(
            f"The text embeddings {path} cannot be read ({error}).",
            todo="Save the vectors as float32, in .safetensors or .npy.",
        ) from error


def _listed(path: Path) -> list[str]:
    """Return the names of the rows of a ``.npy``."""
    if not path.is_file():
        raise OptionError(
            f"The list {path} is not there.",
            "The rows of a .npy have no names.",
            "Write the names of its rows into that file, one per line.",
        )
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise OptionError(
            f"The list {path} is not UTF-8: byte {error.start} is {error.object[error.start]:#04x}.",
            "In another encoding a name would be misread.",
            "Save it as UTF-8.",
        ) from error
    except OSError as error:
        raise OptionError(f"The list {path} cannot be read ({error.strerror}).", todo="Check its rights.") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def _by_name(rows: Iterable[tuple[str, Any]], path: Path) -> dict[str, Vector]:
    found: dict[str, Vector] = {}
    spelled: dict[str, str] = {}
    for name, row in rows:
        other = spelled.setdefault(name_key(name), name)
        if name in found or other != name:
            raise OptionError(
                f"{path.name} has two text embeddings for {name!r}"
                + (f", one of them as {other!r}." if other != name else "."),
                "Letter case and blanks do not tell names apart.",
                "Keep the right one.",
            )
        if row.dtype.kind not in "iuf":
            raise OptionError(
                f"The text embedding of {name!r} in {path.name} holds {row.dtype} in place of real numbers.",
                todo="Save it as float32.",
            )
        found[name] = np.asarray(row, dtype=np.float64)
    return found


def _check_rows(rows: Mapping[str, Vector], path: Path) -> None:
    first = next(iter(rows))
    for name, vector in rows.items():
        this = f"The text embedding of {name!r} in {path.name}"
        if vector.ndim != 1 or not 1 < vector.size <= TEXT_WIDTH:
            shape = f"{vector.size} values" if vector.ndim == 1 else f"the shape {vector.shape}"
            raise OptionError(
                f"{this} has {shape}, and the network takes vectors of 2 to {TEXT_WIDTH}.",
                todo="Use embeddings of another size, or reduce them, for example by their principal components.",
            )
        if vector.shape != rows[first].shape:
            raise OptionError(
                f"{this} has {vector.size} values, that of {first!r} {rows[first].size}.",
                "Directions are compared, so all need one length.",
                "Compute the table with one model.",
            )
        if not np.isfinite(vector).all() or not vector.any():
            wrong = "holds NaN or infinity" if not np.isfinite(vector).all() else "is all zero"
            raise OptionError(f"{this} {wrong}.", todo="Compute the table again.")


def _refuse_twins(found: Mapping[str, Vector], path: Path) -> None:
    names = list(found)
    for place, name in enumerate(names):
        for other in names[:place]:
            if np.linalg.norm(found[name] - found[other]) < _SAME:
                raise OptionError(
                    f"{other!r} and {name!r} have the same text embedding in {path.name}.",
                    "The network tells structures apart by it.",
                    "Embed texts that differ, for example with left and right in them.",
                )


def _unit(vector: Vector) -> Vector:
    """Return a vector that is not zero with unit length, however small or large its values are."""
    scaled = vector / np.abs(vector).max()
    unit: Vector = scaled / np.linalg.norm(scaled)
    return unit


def _prepared(vector: Vector) -> Vector:
    """Return a vector with unit length, padded with zeros; one that is the mean itself stays zero."""
    length = np.linalg.norm(vector)
    padded = np.zeros(TEXT_WIDTH)
    padded[: vector.size] = vector / length if length > _SAME else 0.0
    return padded

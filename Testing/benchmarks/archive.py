"""Results of a benchmark in one compressed file: a line of JSON for each, with its name."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.files import damaged, plain_errors, write_bytes
from IncrementalSegLib.types import Json
from Testing.benchmarks.locking import lock

FILE = "results.jsonl.xz"


def read_archive(out: Path) -> dict[str, Json]:
    """Return the results of a folder by name; none where there is no file.

    Raises:
        ModelError: The file is damaged or cannot be read.
    """
    file = out / FILE
    if not file.is_file():
        return {}
    with plain_errors(file, "read"):
        packed = file.read_bytes()
    try:
        results = map(json.loads, lzma.decompress(packed).splitlines())
        return {result.pop("name"): result for result in results}
    except (lzma.LZMAError, ValueError, KeyError, AttributeError) as error:
        reason = damaged(file, str(error)).what
        raise ModelError(reason, todo="Restore it, or choose another folder for --out.") from error


def add_result(out: Path, name: str, result: Json) -> None:
    """Add a result, or replace the one of that name."""
    with lock(out, "results"):
        write_archive(out, read_archive(out) | {name: result})


def write_archive(out: Path, results: dict[str, Json]) -> None:
    """Write all results, sorted by name."""
    lines = (
        json.dumps({"name": name} | results[name], ensure_ascii=False, allow_nan=False) + "\n"
        for name in sorted(results)
    )
    write_bytes(out / FILE, lzma.compress("".join(lines).encode(), preset=9))

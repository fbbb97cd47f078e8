"""A model in one file: an ``.iseg`` package is a zip of JSON and safetensors with a manifest.

    card.md               what it is, for people
    card.json             the same, for programs
    record.json, ...      one version of a model
    manifest.json         format number, and sha256 and size of every other member

Members are stored, not compressed, in one fixed layout: the same version always gives the same bytes, nothing
can hide between the members or swell when it is unpacked, and whatever deviates is refused.

Standard library only.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.files import encode_json, replacing
from IncrementalSegLib.store.format import FORMAT, require_format
from IncrementalSegLib.store.manifest import MANIFEST, FileEntry
from IncrementalSegLib.store.package_layout import MEMBERS, MOST_BYTES, read_members, refused
from IncrementalSegLib.store.untrusted import decode_plain

SUFFIX = ".iseg"
"""Ending of a package's name."""

_WRITTEN = (1980, 1, 1, 0, 0, 0)  # the time would make equal contents differ


def pack(target: Path, files: Mapping[str, bytes]) -> None:
    """Write a package that is whole or not there; a file of that name is not replaced.

    Args:
        target: Its path.
        files: Member name -> bytes; names are among those that :func:`unpack` knows.

    Raises:
        ModelError: The path is taken or cannot be written, or the package would be too large.
    """
    assert set(files) <= MEMBERS, "unpack would refuse it"
    if sum(map(len, files.values())) > MOST_BYTES:
        raise ModelError(
            f"The package would be larger than {MOST_BYTES / 1e9:g} GB.",
            todo="Export it without exemplars, or remove structures that have a network of their own.",
        )
    if target.exists():
        raise ModelError(f"{target} is already there.", todo="Choose another name, or delete it first.")
    entries = {name: FileEntry.of(data).to_json() for name, data in files.items()}
    manifest = encode_json({"format": FORMAT, "files": dict(sorted(entries.items()))})
    with replacing(target) as temporary, zipfile.ZipFile(temporary, "x") as archive:
        for name, data in [*sorted(files.items()), (MANIFEST, manifest)]:
            archive.writestr(_member(name), data)


def unpack(path: Path) -> dict[str, bytes]:
    """Read a package into memory and check it against its manifest; nothing is written.

    Returns:
        Member name -> bytes, without the manifest.

    Raises:
        ModelError: It is no package, is damaged, does not keep to the layout, or is of a newer format.
    """
    members = read_members(path)
    if MANIFEST not in members:
        raise refused(path, f"it holds no {MANIFEST}")
    data = decode_plain(members.pop(MANIFEST), path, MANIFEST)
    if type(data.get("format")) is not int or data["format"] < 1:
        raise refused(path, f"its format number is {data.get('format')!r}")
    require_format(data, path)
    listed = data.get("files")
    if not isinstance(listed, dict):
        raise refused(path, f"its {MANIFEST} lists no files")
    if absent := sorted(set(listed) - set(members)):
        raise refused(path, f"its {MANIFEST} lists {absent[0]!r}, which is not there")
    if unlisted := sorted(set(members) - set(listed)):
        raise refused(path, f"its {MANIFEST} does not list {unlisted[0]!r}")
    for name, content in members.items():
        if listed[name] != FileEntry.of(content).to_json():
            raise refused(path, f"{name} differs from what its {MANIFEST} says")
    return members


def _member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _WRITTEN)
    info.create_system = 3  # whatever system writes it
    info.external_attr = 0o100644 << 16
    return info

"""The folder of one version: written whole under a temporary name, then renamed to its number."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.files import (
    confirm,
    damaged,
    decode_json,
    encode_json,
    make_folder,
    make_inner_folder,
    plain_errors,
    sync_folder,
    temporary_sibling,
    write_new,
)
from IncrementalSegLib.store.manifest import MANIFEST, FileEntry, Manifest
from IncrementalSegLib.types import Json

if TYPE_CHECKING:  # torch takes seconds to load, and accepting a version needs no tensor
    from torch import Tensor


def publish(target: Path, contents: Mapping[str, bytes], old: Path | None) -> None:
    """Make the folder ``target`` appear with all its files and a manifest, or not at all.

    Args:
        target: Folder that does not exist.
        contents: File name -> bytes.
        old: Folder of another version, whose files are taken over where ``contents`` has none.

    Raises:
        ModelError: It cannot be written, or a file to take over is damaged.
    """
    temporary = temporary_sibling(target)
    with plain_errors(target):
        try:
            if not target.parent.exists():
                make_folder(target.parent.parent, private=True)
                make_inner_folder(target.parent)
                sync_folder(target.parent.parent)
            make_inner_folder(temporary)
            files = {name: FileEntry.of(data) for name, data in contents.items()}
            for name, data in contents.items():
                write_new(temporary / name, data)
            if old is not None:
                files |= _take_over(old, temporary, set(contents))
            write_new(temporary / MANIFEST, encode_json(Manifest(files).to_json()))
            sync_folder(temporary)
            temporary.rename(target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    confirm(target)


def numbered(folder: Path) -> list[Path]:
    """Return the whole folders that :func:`publish` made under a number in ``folder``, in the order of the numbers."""
    if not folder.is_dir():
        return []
    whole = [item for item in folder.iterdir() if item.name.isdigit() and (item / MANIFEST).is_file()]
    return sorted(whole, key=lambda item: int(item.name))


def read_tensors(folder: Path, name: str) -> dict[str, Tensor]:
    """Read one safetensors file of a version, on the CPU; nothing where the manifest does not list it.

    Raises:
        ModelError: It is missing or damaged.
    """
    manifest = Manifest.read(folder)
    if name not in manifest.files:
        return {}
    import safetensors.torch

    try:
        return safetensors.torch.load(manifest.read_file(folder, name))
    except safetensors.SafetensorError as error:
        raise damaged(folder / name, str(error)) from error


def read_document(folder: Path, name: str) -> Json:
    """Read one JSON file of a version; nothing where the manifest does not list it.

    Raises:
        ModelError: It is missing or damaged.
    """
    manifest = Manifest.read(folder)
    if name not in manifest.files:
        return {}
    return decode_json(manifest.read_file(folder, name), folder / name)


def verify(folder: Path) -> None:
    """Check every file of a version against its manifest.

    Raises:
        ModelError: One is missing or differs; the message names it.
    """
    manifest = Manifest.read(folder)
    for name in manifest.files:
        manifest.read_file(folder, name)


def encode_tensors(kind: str, tensors: Mapping[str, Tensor]) -> bytes:
    """Return the safetensors bytes of named tensors on any device.

    Raises:
        ModelError: One has a type that safetensors does not know.
    """
    import safetensors.torch
    import torch

    # Copies, because safetensors refuses views and tensors that share their storage.
    copies = {
        name: item.detach().to("cpu").clone(memory_format=torch.contiguous_format) for name, item in tensors.items()
    }
    try:
        return safetensors.torch.save(copies)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise ModelError(f"The {kind} cannot be saved: {error}.") from error


def _take_over(old: Path, new: Path, given: set[str]) -> dict[str, FileEntry]:
    manifest = Manifest.read(old)
    kept = {name: entry for name, entry in manifest.files.items() if name not in given}
    for name in kept:
        try:
            os.link(manifest.path(old, name), new / name)
        except OSError:  # no hard links on this disk, or the file is missing, which reading it then says
            write_new(new / name, manifest.read_file(old, name))
    return {name: replace(entry, file=None) for name, entry in kept.items()}

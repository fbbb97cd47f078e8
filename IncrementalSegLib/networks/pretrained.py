"""Weights of networks that were trained elsewhere: from a file, or downloaded when asked.

A ``.pth`` file is a pickle.  It is opened only after its SHA-256 matched, with ``weights_only=True``, once:
what is kept is a ``.safetensors`` file in the cache.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import torch
from platformdirs import user_cache_path
from safetensors.torch import save_file

from IncrementalSegLib.errors import Hint, MissingNeedError, ModelError, OptionRef, UnknownNameError
from IncrementalSegLib.files import replacing


@dataclass(frozen=True)
class WeightSource:
    """Where weights come from.

    Attributes:
        url: An https address.
        sha256: Of the file at that address, 64 hexadecimal digits.
    """

    url: str
    sha256: str


SOURCES = {
    "vgg16": WeightSource(
        "https://download.pytorch.org/models/vgg16-397923af.pth",
        "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    ),
    "vgg19": WeightSource(
        "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
        "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
    ),
}
"""The ImageNet weights of torchvision."""


def pretrained_weights(
    name: str, file: Path | None = None, *, download: bool = False, cache: Path | None = None
) -> Path:
    """Return the ``.safetensors`` file of a pre-trained network.

    Args:
        name: ``vgg16`` or ``vgg19``.
        file: The user's own file: ``.safetensors``, or torchvision's ``.pth``, which is converted.
        download: Permission to use the network; without it nothing is fetched.
        cache: Folder for converted files; the user's cache folder by default.

    Raises:
        MissingNeedError: No file, none in the cache, and no permission or a failed download.
        ModelError: The file named is neither ``.safetensors`` nor torchvision's.
    """
    if name not in SOURCES:
        raise UnknownNameError("set of pre-trained weights", name, SOURCES)
    source = SOURCES[name]
    target = (cache or user_cache_path("incrementalseg") / "weights") / f"{name}-{source.sha256[:8]}.safetensors"
    if file is not None:
        return _own_file(file, source, target)
    if target.is_file():
        return target
    if not download:
        raise MissingNeedError(
            f"The ImageNet weights of {name} are not on this computer.",
            "The content of scans is compared by them.",
            Hint(
                "Name their file, ",
                OptionRef("options.descriptor_weights", "FILE"),
                ", or allow the download once, ",
                OptionRef("options.descriptor_weights", "download"),
                ".",
            ),
        )
    _download(name, source, target)
    return target


def convert(checkpoint: Path, sha256: str, target: Path) -> Path:
    """Write the convolution part of a torchvision checkpoint as ``.safetensors``, atomically.

    Args:
        checkpoint: A ``.pth`` file; never opened unless its hash is right.
        sha256: What its SHA-256 must be.
        target: File to write.

    Raises:
        ModelError: The hash differs.
    """
    with checkpoint.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != sha256:
        raise ModelError(
            f"The file {checkpoint.name!r} has the SHA-256 {found[:8]}… instead of {sha256[:8]}….",
            "It is not torchvision's file, and opening an unknown .pth file can run foreign code.",
            "Name the original file or a .safetensors file.",
        )
    weights = torch.load(checkpoint, map_location="cpu", weights_only=True)
    kept = {name: tensor.contiguous() for name, tensor in weights.items() if name.startswith("features.")}
    with replacing(target, MissingNeedError, make=True) as temporary:
        save_file(kept, temporary, metadata={"source_sha256": sha256})
    return target


def _own_file(file: Path, source: WeightSource, target: Path) -> Path:
    if not file.is_file():
        raise MissingNeedError(f"There is no file {file}.", todo="Name the file of the weights.")
    if file.suffix == ".safetensors":
        return file
    return target if target.is_file() else convert(file, source.sha256, target)


def _download(name: str, source: WeightSource, target: Path) -> None:
    if not source.url.startswith("https://"):
        raise ValueError(f"{source.url} is not an https address")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            checkpoint = Path(folder, "download.pth")
            request = urllib.request.Request(source.url)  # noqa: S310  (https was checked)
            with urllib.request.urlopen(request, timeout=30) as answer, checkpoint.open("wb") as stream:  # noqa: S310
                shutil.copyfileobj(answer, stream, length=1 << 20)
            convert(checkpoint, source.sha256, target)
    except OSError as error:
        raise MissingNeedError(
            f"The ImageNet weights of {name} could not be downloaded ({error}).",
            todo="Try again, or download them elsewhere and name the file.",
        ) from error

"""Damaged and hostile packages, each made from a sound one by code: bytes, and a word of the reason it is refused."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import safetensors.torch
import torch

Members = dict[str, bytes]


@dataclass(frozen=True)
class Hostile:
    """One package.

    Attributes:
        name: What is wrong with it.
        data: Its bytes.
        reason: What the message must say.
    """

    name: str
    data: bytes
    reason: str


def members(package: bytes) -> Members:
    """Return the members of a sound package, without its manifest."""
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name != "manifest.json"}


def sealed(content: Members, **more: Any) -> bytes:
    """Return a package with a right manifest over whatever content."""
    return zipped({**content, "manifest.json": manifest(content, **more)})


def manifest(content: Members, **more: Any) -> bytes:
    """Return the manifest of a content."""
    files = {name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for name, data in content.items()}
    return json.dumps({"format": 1, "files": files} | more).encode()


def zipped(content: Members, tweak: Callable[[zipfile.ZipInfo], None] = lambda info: None) -> bytes:
    """Return a zip file as export writes it; ``tweak`` may change the entry of every member."""
    return zipped_list([*content.items()], tweak)


def zipped_list(
    content: list[tuple[str, bytes]], tweak: Callable[[zipfile.ZipInfo], None] = lambda info: None
) -> bytes:
    """Return a zip file in which a name may stand twice."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in content:
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.external_attr = 0o100644 << 16
            tweak(info)
            with warnings.catch_warnings(action="ignore"):  # a name that stands twice is meant
                archive.writestr(info, data)
    return buffer.getvalue()


def corpus(package: bytes) -> Iterator[Hostile]:
    """Return all packages, made from a sound one with exemplars."""
    yield from _broken_files(package)
    yield from _broken_zips(package)
    yield from _bad_members(package)
    yield from _bad_manifests(package)
    yield from _bad_json(package)
    yield from _bad_tensors(package)
    yield from _bad_networks(package)


def _broken_files(sound: bytes) -> Iterator[Hostile]:
    yield Hostile("empty", b"", "it is empty")
    yield Hostile("text", b"once upon a time", "not a zip file")
    yield Hostile(
        "pickle", b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x8c\x06system\x93.", "not a zip"
    )
    yield Hostile("cut short", sound[: len(sound) // 2], "its end is missing")
    yield Hostile("cut by one", sound[:-1], "its end is missing")
    yield Hostile("trailing bytes", sound + b"#!/bin/sh", "appended")
    yield Hostile("bytes before", b"PK\3\4" + sound, "do not add up")
    yield Hostile("hole cut out", sound[:2000] + sound[2100:], "do not add up")
    yield Hostile("only an end", sound[-22:], "do not add up")
    yield Hostile("two letters", b"PK", "its end is missing")
    buffer = bytearray(sound)
    buffer[len(sound) // 2] ^= 1
    yield Hostile("one bit flipped", bytes(buffer), "refused")


def _broken_zips(sound: bytes) -> Iterator[Hostile]:
    content = {**members(sound), "manifest.json": manifest(members(sound))}
    deflated = zipped(content, lambda info: setattr(info, "compress_type", zipfile.ZIP_DEFLATED))
    yield Hostile("compressed", deflated, "compressed")
    bomb = {"weights.safetensors": bytes(30_000_000)}
    yield Hostile("bomb", zipped(bomb, lambda info: setattr(info, "compress_type", zipfile.ZIP_LZMA)), "compressed")
    yield Hostile("comment", _with_comment(content), "end is missing")
    yield Hostile("extra field", zipped(content, lambda info: setattr(info, "extra", b"UP\1\0x")), "something between")
    yield Hostile("encrypted", _central(sound, 8, b"\1\0"), "encrypted")
    yield Hostile("size lies", _central(sound, 24, struct.pack("<L", 2**31)), "two sizes")
    lie = struct.pack("<LL", 2**31, 2**31)
    yield Hostile("both sizes lie", _central(sound, 20, lie), "2147483648 bytes; 1000000 are allowed")
    yield Hostile("zip64 size", _central(sound, 20, b"\xff" * 8), "refused")
    yield Hostile("members overlap", _central(sound, 42, struct.pack("<L", 50)), "not described as export")
    yield Hostile("crc lies", _central(sound, 16, b"abcd"), "not described as export")
    yield Hostile("zip64 end", sound[:-10] + b"\xff" * 8 + sound[-2:], "zip64")
    yield Hostile("several disks", sound[:-18] + b"\1\0" + sound[-16:], "several")
    yield Hostile("many members", zipped({f"weights{i}.json": b"" for i in range(1000)}), "1000 members")


def _bad_members(sound: bytes) -> Iterator[Hostile]:
    content = members(sound)
    names = {
        "absolute": ("/etc/passwd", "absolute"),
        "drive": ("C:weights.safetensors", "absolute"),
        "backslash root": ("\\\\server\\record.json", "absolute"),
        "parent": ("../record.json", "leads out"),
        "parent inside": ("a/../../record.json", "leads out"),
        "parent by backslash": ("..\\record.json", "leads out"),
        "folder": ("versions/record.json", "in a folder"),
        "backslash": ("versions\\record.json", "in a folder"),
        "nothing before it": ("", "not among the files"),
        "pickle": ("data.pkl", "not among the files"),
        "script": ("card.md.py", "not among the files"),
        "nested zip": ("more.zip", "another archive"),
    }
    for what, (name, reason) in names.items():
        yield Hostile(f"member name: {what}", sealed({**content, name: b"{}"}), reason)
    yield Hostile("zero byte", sound.replace(b"card.json", b"card\0json"), "not among the files")
    yield Hostile("link", zipped(content, lambda info: setattr(info, "external_attr", 0o120777 << 16)), "is a link")
    yield Hostile(
        "device", zipped(content, lambda info: setattr(info, "external_attr", 0o020666 << 16)), "regular file"
    )
    yield Hostile("pipe", zipped(content, lambda info: setattr(info, "external_attr", 0o010666 << 16)), "regular file")
    yield Hostile("member twice", zipped_list([*content.items(), ("record.json", b"{}")]), "twice")
    yield Hostile("twice by case", zipped({**content, "RECORD.json": b"{}"}), "twice")
    upper = {name.upper() if name == "card.md" else name: data for name, data in content.items()}
    yield Hostile("upper case", sealed(upper), "lower case")
    for name in ("record.json", "weights.safetensors", "exemplars.json"):
        yield Hostile(f"without {name}", sealed({k: v for k, v in content.items() if k != name}), f"no {name}")


def _bad_manifests(sound: bytes) -> Iterator[Hostile]:
    content = members(sound)
    seal = manifest(content)
    yield Hostile("no manifest", zipped(content), "no manifest.json")
    yield Hostile("newer format", sealed(content, format=99), "Update IncrementalSeg")
    yield Hostile("no format", sealed(content, format=None), "format number is None")
    yield Hostile("format is true", sealed(content, format=True), "format number is True")
    yield Hostile("lists nothing", sealed(content, files=[]), "lists no files")
    short = {name: data for name, data in content.items() if name != "history.json"}
    yield Hostile("lists more", zipped({**short, "manifest.json": seal}), "'history.json', which is not there")
    yield Hostile("lists fewer", zipped({**content, "manifest.json": manifest(short)}), "does not list 'history.json'")
    other = {**content, "record.json": content["record.json"].replace(b"heads", b"beads"), "manifest.json": seal}
    yield Hostile("wrong hash", zipped(other), "record.json differs")
    yield Hostile("manifest is no JSON", zipped({**content, "manifest.json": b"\xff\xfe"}), "not text")


def _bad_json(sound: bytes) -> Iterator[Hostile]:
    content = members(sound)

    def with_(name: str, data: bytes) -> bytes:
        return sealed({**content, name: data})

    deep = b'{"method":' * 50_000 + b"1" + b"}" * 50_000
    yield Hostile("too deep", with_("memory.json", deep), "nested too deep")
    yield Hostile("fairly deep", with_("memory.json", b'{"a":' * 50 + b"1" + b"}" * 50), "32 deep")
    large = b'{"a":"' + b"x" * 1_000_000 + b'"}'
    yield Hostile("too large", with_("memory.json", large), "'memory.json' has 1000008 bytes; 1000000 are allowed")
    yield Hostile("card too large", with_("card.md", large), "'card.md' has 1000008 bytes; 1000000 are allowed")
    yield Hostile("large manifest", zipped({**content, "manifest.json": large}), "'manifest.json' has 1000008 bytes")
    numbers = b'{"steps":[' + b"0," * 200_001 + b"0]}"
    yield Hostile("many values", with_("history.json", numbers), "more than 200000 values")
    lists = b'{"steps":[' + b"[]," * 150_000 + b"[]]}"
    yield Hostile("many wrong items", with_("history.json", lists), "steps.0: Input should be a valid dictionary")
    keys = json.dumps({"voxel_counts": {f"{number:x}": 0 for number in range(5001)}}).encode()
    yield Hostile("many keys", with_("memory.json", keys), "an object holds 5001 keys; 5000 are allowed")
    yield Hostile("NaN", with_("memory.json", b'{"method": {"a": NaN}}'), "NaN or an infinity")
    yield Hostile("infinite", with_("memory.json", b'{"method": {"a": 1e999}}'), "NaN or an infinity")
    yield Hostile("huge number", with_("memory.json", b'{"method": {"a": 1' + b"0" * 4000 + b"}}"), "4001 digits")
    yield Hostile("endless digits", with_("memory.json", b'{"a": 1' + b"0" * 9000 + b"}"), "9001 digits")
    yield Hostile("key twice", with_("memory.json", b'{"method": {}, "method": {}}'), "twice")
    yield Hostile("half a character", with_("memory.json", b'{"method": {"a": "\\ud800"}}'), "not text")
    yield Hostile("escape codes", with_("memory.json", b'{"method": {"a": "\\u001b[2J"}}'), "control character")
    yield Hostile("direction", with_("memory.json", b'{"method": {"a\\u202e": 1}}'), "control character \\u202e")
    yield Hostile("a list", with_("memory.json", b"[]"), "JSON object")
    yield Hostile("no JSON", with_("history.json", b"{'steps': }"), "not plain JSON")
    for name in ("prototypes", "exemplars", "record"):
        yield Hostile(f"empty {name}", with_(f"{name}.json", b"{}"), f"{name}.json is not what a model has")
    changes: dict[str, tuple[str, Any, str]] = {
        "name with a comma": ("structures.0.name", "a,b", "not what a model has"),
        "uuid that is none": ("structures.0.id", "../../x", "not what a model has"),
        "colour beyond 255": ("structures.0.color", [0, 0, 999], "not what a model has"),
        "endless name": ("structures.0.name", "a" * 256, "not what a model has"),
        "many structures": ("structures", [json.loads(content["record.json"])["structures"][0]] * 513, "at most 512"),
        "no structures": ("structures", [], "not what a model has"),
        "unknown network": ("architecture.config.network", "os", "no network called"),
        "unknown output": ("architecture.config.output", "../x", "no output called"),
        "no number of trunks": ("architecture.trunks", "many", "not what a model has"),
        "orientation": ("preprocessing.orientation", "XXX", "three directions"),
        "spacing": ("preprocessing.spacing", [None, 0.0, 1.0], "0.001 and 1000 mm"),
        "patch": ("preprocessing.patch", [1, 10**9, 32], "sizes beyond"),
        "dimension": ("preprocessing.dimension", 7, "not what a model has"),
        "channels": ("preprocessing.channels", 3, "channels"),
        "percentages": ("preprocessing.clip_percent", [99.0, 1.0], "percent"),
        "multiple": ("preprocessing.multiple", 1, "halves"),
    }
    for what, (place, value, reason) in changes.items():
        yield Hostile(f"record: {what}", with_("record.json", changed(content["record.json"], place, value)), reason)


def _bad_tensors(sound: bytes) -> Iterator[Hostile]:
    content = members(sound)
    weights = safetensors.torch.load(content["weights.safetensors"])
    first = next(name for name in weights if name.endswith("conv.weight"))

    def with_(data: bytes, kind: str = "weights") -> bytes:
        return sealed({**content, f"{kind}.safetensors": data})

    def replaced(name: str, item: torch.Tensor) -> bytes:
        return with_(safetensors.torch.save({**weights, name: item}))

    nan, endless = weights[first].clone(), weights[first].clone()
    nan.view(-1)[0], endless.view(-1)[0] = float("nan"), float("inf")
    yield Hostile("NaN weight", replaced(first, nan), "NaN or an infinity")
    yield Hostile("infinite weight", replaced(first, endless), "NaN or an infinity")
    yield Hostile("wrong shape", replaced(first, weights[first].flatten()), "do not fit its network")
    yield Hostile("wrong type", replaced(first, weights[first].half()), "do not fit its network")
    yield Hostile("odd type", replaced(first, weights[first].to(torch.float8_e4m3fn)), "which no model uses")
    yield Hostile("weight too many", replaced("more", torch.zeros(1)), "missing or unknown")
    fewer = {name: item for name, item in weights.items() if name != first}
    yield Hostile("weight missing", with_(safetensors.torch.save(fewer)), "missing or unknown")
    variance = next(name for name in weights if name.endswith("running_var"))
    yield Hostile("negative variance", replaced(variance, -weights[variance] - 1), "negative variance")
    yield Hostile("pickle as safetensors", with_(b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00."), "safetensors")
    yield Hostile("torch file as safetensors", with_(b"PK\3\4" + bytes(100)), "safetensors")
    yield Hostile("empty safetensors", with_(b""), "safetensors")
    data = content["weights.safetensors"]
    yield Hostile("header size lies", with_(struct.pack("<Q", 2**60) + data[8:]), "safetensors")
    names = {f"{number}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for number in range(20_000)}
    header = json.dumps(names).encode()
    long = with_(struct.pack("<Q", len(header)) + header)
    yield Hostile("header too long", long, f"its header has {len(header)} bytes; 1000000 are allowed")
    yield Hostile("header too short", with_(struct.pack("<Q", 2) + data[8:]), "safetensors")
    yield Hostile("data cut", with_(data[:-4]), "safetensors")
    header = b'{"a":{"dtype":"F32","shape":[999999999,999999999],"data_offsets":[0,4]}}'
    yield Hostile("shape lies", with_(struct.pack("<Q", len(header)) + header + bytes(4)), "safetensors")
    exemplars = safetensors.torch.load(content["exemplars.safetensors"])
    image = next(name for name in exemplars if name.endswith(".image"))
    other = {**exemplars, image: exemplars[image] + 1}
    yield Hostile("pixels changed", with_(safetensors.torch.save(other), "exemplars"), "missing or damaged")
    masks = image.replace("image", "masks")
    other = {**exemplars, masks: exemplars[masks] + 7}
    yield Hostile("masks changed", with_(safetensors.torch.save(other), "exemplars"), "do not fit")
    other = {**exemplars, "0123456789.image": exemplars[image].clone()}
    yield Hostile("pixels too many", with_(safetensors.torch.save(other), "exemplars"), "outline nothing")
    yield Hostile("pixels missing", with_(safetensors.torch.save({}), "exemplars"), "missing or damaged")
    unknown = {"f" * 32: torch.zeros(4)}
    yield Hostile("mean features missing", with_(safetensors.torch.save(unknown), "prototypes"), "missing or damaged")
    means = safetensors.torch.load(content["prototypes.safetensors"])
    for what, found in (
        ("short", {name: item[:-1].clone() for name, item in means.items()}),
        ("whole numbers", {name: item.long() for name, item in means.items()}),
        ("endless", {name: item.sign() * 1e200 for name, item in means.items()}),
    ):
        yield Hostile(f"mean features: {what}", with_(safetensors.torch.save(found), "prototypes"), "mean features of")


def _bad_networks(sound: bytes) -> Iterator[Hostile]:
    content = members(sound)

    def with_(place: str, value: Any) -> bytes:
        return sealed({**content, "record.json": changed(content["record.json"], place, value)})

    yield Hostile("a petabyte", with_("architecture.config.widths", [8192] * 9), "do not fit its network")
    yield Hostile("an endless width", with_("architecture.config.widths", [4, 2**50]), "levels beyond")
    yield Hostile("no width", with_("architecture.config.widths", []), "levels")
    yield Hostile("zero width", with_("architecture.config.widths", [0, 0]), "levels beyond")
    yield Hostile("endless trunks", with_("architecture.trunks", 2**50), "trunks are not those")
    for what, index, branch, reason in (
        ("of nothing", "9", {"kind": "decoder", "trunk": 0, "options": {}}, "trunks are not those"),
        ("of itself", "0", {"kind": "decoder", "trunk": 0, "options": {}}, "not before it"),
        ("that is none", "x", {"kind": "decoder", "trunk": 0, "options": {}}, "not what a model has"),
        ("with a key too many", "9", {"kind": "decoder", "trunk": 0, "path": "/"}, "not what a model has"),
    ):
        yield Hostile(f"a branch {what}", with_("architecture.branches", {index: branch}), reason)
    yield Hostile("endless heads", with_("architecture.config.head_depth", 2**50), "convolutions deep")
    yield Hostile("dropout", with_("architecture.config.dropout", 2.0), "dropout")
    yield Hostile("no structures in the network", with_("architecture.trunk_of", {}), "list of structures differ")


def changed(document: bytes, place: str, value: Any) -> bytes:
    """Return a JSON document with another value at ``a.0.b``."""
    data = json.loads(document)
    *way, last = place.split(".")
    item = data
    for part in way:
        item = item[int(part) if isinstance(item, list) else part]
    item[int(last) if isinstance(item, list) else last] = value
    return json.dumps(data).encode()


def _with_comment(content: Members) -> bytes:
    buffer = io.BytesIO(zipped(content))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = b"hello"
    return buffer.getvalue()


def _central(sound: bytes, offset: int, value: bytes) -> bytes:
    """Change the table of contents: ``value`` at ``offset`` of the first entry."""
    at = struct.unpack("<L", sound[-6:-2])[0] + offset
    return sound[:at] + value + sound[at + len(value) :]

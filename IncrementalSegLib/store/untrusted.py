"""JSON and tensors from elsewhere: small enough, finite, and nothing but plain values."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IncrementalSegLib.names import plain, visible
from IncrementalSegLib.store.package_layout import MOST_DOCUMENT, refused
from IncrementalSegLib.types import Json

if TYPE_CHECKING:
    from torch import Tensor

_DEEPEST = 32
_MOST_VALUES = 200_000  # a document of plain numbers has so many; each takes a hundred bytes of memory
_MOST_KEYS = 5_000  # of one object; each that is wrong takes kilobytes in a list of faults
_MOST_DIGITS = 18  # so many fit into 64 bits
_MOST_TENSORS = 100_000
_MOST_HEADER = 1_000_000  # bytes; safetensors itself allows a hundred times as many


def decode_plain(data: bytes, package: Path, name: str) -> Json:
    """Decode the JSON object in a member of a package.

    Raises:
        ModelError: It is too large, too deep, no JSON object, or holds NaN, a huge number, a key twice, too many values
            or a text that is none.
    """
    if len(data) > MOST_DOCUMENT:
        raise refused(package, f"{name} has {len(data)} bytes; {MOST_DOCUMENT} are allowed")
    if data.count(b",") > _MOST_VALUES:  # those inside of texts are few
        raise refused(package, f"{name} holds more than {_MOST_VALUES} values")
    try:
        found = json.loads(
            data.decode(), object_pairs_hook=_once, parse_int=_whole, parse_float=_finite, parse_constant=_finite
        )
        _check_plain(found, _DEEPEST)
    except RecursionError as error:
        raise refused(package, f"{name} is nested too deep") from error
    except UnicodeError as error:
        raise refused(package, f"{name} holds something that is not text") from error
    except ValueError as error:
        raise refused(package, f"{name} is not plain JSON: {error}") from error
    if not isinstance(found, dict):
        raise refused(package, f"{name} does not hold a JSON object")
    return found


def decode_tensors(data: bytes, package: Path, name: str) -> dict[str, Tensor]:
    """Decode the tensors in a member of a package; safetensors checks its header against the bytes.

    Raises:
        ModelError: It is no safetensors file, or holds too many tensors, NaN or an infinity.
    """
    import safetensors.torch
    import torch
    from safetensors import SafetensorError

    length = int.from_bytes(data[:8], "little")
    if length > min(_MOST_HEADER, len(data)):
        allowed = f"; {_MOST_HEADER} are allowed" if length <= len(data) else ""
        raise refused(package, f"{name} is not a sound safetensors file (its header has {length} bytes{allowed})")
    try:
        tensors = safetensors.torch.load(data)
    except (SafetensorError, ValueError, KeyError, RuntimeError, OverflowError) as error:
        raise refused(package, f"{name} is not a sound safetensors file ({error})") from error
    if len(tensors) > _MOST_TENSORS:
        raise refused(package, f"{name} holds {len(tensors)} tensors, {_MOST_TENSORS} are allowed")
    known = (torch.float16, torch.float32, torch.float64, torch.int64, torch.int32, torch.uint8, torch.bool)
    for key, item in tensors.items():
        if item.dtype not in known:
            raise refused(package, f"{key[:100]!r} in {name} has the type {item.dtype}, which no model uses")
        if item.is_floating_point() and not bool(torch.isfinite(item).all()):
            raise refused(package, f"{key[:100]!r} in {name} holds NaN or an infinity")
    return tensors


def _once(pairs: list[tuple[str, Any]]) -> Json:
    if len(pairs) > _MOST_KEYS:
        raise ValueError(f"an object holds {len(pairs)} keys; {_MOST_KEYS} are allowed")
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"it holds a whole number of {len(digits)} digits")
    return int(digits)


def _finite(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise ValueError("it holds NaN or an infinity")
    return number


def _check_plain(item: Any, deeper: int) -> None:
    if isinstance(item, dict | list):
        if not deeper:
            raise ValueError(f"it is nested more than {_DEEPEST} deep")
        for part in (*item, *item.values()) if isinstance(item, dict) else item:
            _check_plain(part, deeper - 1)
    elif isinstance(item, str):
        item.encode()  # half a character, written \ud800, could be saved nowhere
        if plain(item) != item:  # it could steer or deceive whatever shows it
            sign = next(sign for sign in item if plain(sign) != sign)
            raise ValueError(f"it holds the control character {visible(sign)}")

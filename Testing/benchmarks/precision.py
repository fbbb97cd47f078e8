"""One precision for all chains of a protocol: on another processor the library may choose another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from IncrementalSegLib.engine import runtime


@contextmanager
def computing_in(precision: str | None) -> Iterator[None]:
    """Run networks inside the block in ``bf16-mixed`` or ``32-true``; ``None`` is what suits the machine."""
    if precision is None:
        yield
        return
    with mock.patch.object(runtime, "_has_bf16", return_value=precision == "bf16-mixed"):
        yield

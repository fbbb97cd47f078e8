"""The networks of a training, compiled by torch."""

from __future__ import annotations

import os
import shutil
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import torch

from IncrementalSegLib.engine.runtime import Runtime
from IncrementalSegLib.networks.segmenter import Segmenter

BACKEND = "inductor"

_HALVES = ("encode", "decode")


def obstacle(runtime: Runtime) -> str | None:
    """Return why networks cannot be compiled, or should not be; ``None``: nothing is in the way."""
    if runtime.device.type != "cuda":
        return "compiling for a CPU takes longer than most trainings"
    if runtime.group.size > 1:
        return "several processes share the network"
    if find_spec("triton") is None:
        return "triton is not installed"
    if not any(map(shutil.which, filter(None, (os.environ.get("CC"), "cc", "gcc", "clang")))):
        return "there is no C compiler"
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        return "the header files of Python are not installed"
    return None


class CompiledNetworks:
    """The halves of all trunks of some models, compiled at their first call.

    Models stay as they are outside :meth:`used`: their state, their copies, and the passes of an evaluation, whose
    windows have other sizes and would be compiled anew.

    Args:
        models: The models; ``None`` is skipped.
    """

    def __init__(self, *models: Segmenter | None) -> None:
        torch.compiler.reset()  # torch compiles the same code for a few networks only, those of earlier steps included
        self._halves = [
            (trunk, name, torch.compile(getattr(trunk, name), backend=BACKEND, dynamic=False))
            for model in models
            if model is not None
            for trunk in model.trunks
            for name in _HALVES
        ]

    @contextmanager
    def used(self) -> Iterator[None]:
        """Let the models run what is compiled."""
        for trunk, name, compiled in self._halves:
            trunk.__dict__[name] = compiled
        try:
            yield
        finally:
            for trunk, name, _ in self._halves:
                del trunk.__dict__[name]


def failed(error: Exception) -> str:
    """Return a note of an error."""
    return f"not compiled: {' '.join(f'{type(error).__name__}: {error}'.split())[:200]}"


def is_of_compiler(error: Exception) -> bool:
    """Return whether the compiler failed, not what it compiled."""
    from torch._dynamo.exc import TorchDynamoException  # takes seconds to load, and only those who compile need it

    return isinstance(error, TorchDynamoException)

"""Models that stay loaded between two segmentations."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING

from IncrementalSegLib.progress import Phase, Progress

if TYPE_CHECKING:  # a worker says hello before it loads torch
    from IncrementalSegLib.engine.models import LoadedModel, Loader
    from IncrementalSegLib.engine.runtime import Runtime
    from IncrementalSegLib.store.versions import ModelFolder

MOST = 2
"""Models kept; a person works with one or compares two."""


class WarmModels:
    """Load versions and keep the latest."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str, str], LoadedModel] = OrderedDict()

    def loader(self, progress: Progress) -> Loader:
        """Return a loader that reports only what it really has to load."""
        return partial(self._load, progress)

    def clear(self) -> None:
        """Forget all models, so that other work has their memory."""
        self._kept.clear()

    def _load(self, progress: Progress, folder: ModelFolder, runtime: Runtime, number: int | None) -> LoadedModel:
        from IncrementalSegLib.engine.models import load

        key = (str(folder.path.resolve()), folder.fingerprint(number), runtime.device.type)
        if key not in self._kept:
            progress(Phase.LOADING, 0.0)
            while len(self._kept) >= MOST:
                self._kept.popitem(last=False)
            self._kept[key] = load(folder, runtime, number)
            progress(Phase.LOADING, 1.0)
        self._kept.move_to_end(key)
        return self._kept[key]

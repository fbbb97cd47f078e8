"""Teach a segmentation model one more structure and keep the ones it knows.

The Python interface is about ten names, resolved on first use so that importing the package
costs nothing and loads neither torch nor MONAI::

    from IncrementalSegLib import learn, segment, evaluate, open_data, open_model

    step = learn("shoulder", data=open_data("scans"), structures="humerus")
    segment("shoulder", "patient.nii.gz", output="outlines")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "IncrementalSegError": "errors",
    "Structure": "structures",
    "Volume": "volumes.volume",
    "check_data": "sampling.checks",
    "correct": "engine.correct",
    "evaluate": "engine.scores.evaluate",
    "learn": "engine.learn",
    "open_data": "sampling.datasets",
    "open_model": "store.versions",
    "read_volume": "volumes.io",
    "segment": "engine.segment",
    "spots": "engine.spots",
    "suggest": "engine.suggest",
}

__all__ = ["__version__", *_PUBLIC]  # noqa: PLE0604  (names are strings of the table above)


if TYPE_CHECKING:
    from IncrementalSegLib.engine.correct import correct as correct
    from IncrementalSegLib.engine.learn import learn as learn
    from IncrementalSegLib.engine.scores.evaluate import evaluate as evaluate
    from IncrementalSegLib.engine.segment import segment as segment
    from IncrementalSegLib.engine.spots import spots as spots
    from IncrementalSegLib.engine.suggest import suggest as suggest
    from IncrementalSegLib.errors import IncrementalSegError as IncrementalSegError
    from IncrementalSegLib.sampling.checks import check_data as check_data
    from IncrementalSegLib.sampling.datasets import open_data as open_data
    from IncrementalSegLib.store.versions import open_model as open_model
    from IncrementalSegLib.structures import Structure as Structure
    from IncrementalSegLib.volumes.io import read_volume as read_volume
    from IncrementalSegLib.volumes.volume import Volume as Volume
else:  # a type checker that saw this would know no signature

    def __getattr__(name: str) -> Any:
        if name in _PUBLIC:
            return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

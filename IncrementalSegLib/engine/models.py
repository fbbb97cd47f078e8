"""From a model folder to a network that runs: the seam between bytes and torch modules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from IncrementalSegLib.engine.documents import plan_of, understood
from IncrementalSegLib.engine.runtime import Runtime
from IncrementalSegLib.inference.predictor import Predictor
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.store.versions import ModelFolder, VersionRecord


@dataclass(frozen=True)
class LoadedModel:
    """A version, ready to run.

    Attributes:
        folder: The model folder.
        record: The version's record.
        segmenter: The network, on the device.
        plan: How scans become what it sees.
    """

    folder: ModelFolder
    record: VersionRecord
    segmenter: Segmenter
    plan: Plan

    def predictor(self, runtime: Runtime) -> Predictor:
        """Return a predictor on the runtime's device."""
        return Predictor(self.segmenter, self.plan, runtime.device, runtime.autocast)


Loader = Callable[[ModelFolder, Runtime, int | None], LoadedModel]
"""Loads a version; :func:`load`, or one that keeps what it has loaded."""


def load(folder: ModelFolder, runtime: Runtime, number: int | None = None) -> LoadedModel:
    """Load a version, the current one by default.

    Raises:
        ModelError: The version does not exist, is damaged, or of another form.
    """
    record = folder.record(number)
    plan = plan_of(record)
    weights = folder.tensors("weights", record.number)
    with understood(f"The network of version {record.number} of {folder.name}"):
        segmenter = Segmenter.from_architecture(record.architecture, weights)
    runtime.place(segmenter, plan.dimension)
    return LoadedModel(folder, record, segmenter.eval(), plan)

"""A model ready for scans: reads each, predicts it, and says what a person should know of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from IncrementalSegLib.engine.domain import TrainingDomain, scan_features, warnings_of
from IncrementalSegLib.engine.models import LoadedModel, Loader, load
from IncrementalSegLib.engine.quality import quality_warnings
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.engine.sources import ScanSource
from IncrementalSegLib.errors import DataError, Hint, OptionRef
from IncrementalSegLib.evaluation.domain import ScanFeatures
from IncrementalSegLib.inference.prediction import Prediction
from IncrementalSegLib.inference.predictor import Predictor
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.structures import StructureList, names_in
from IncrementalSegLib.types import DeviceName
from IncrementalSegLib.volumes.checks import judge_image
from IncrementalSegLib.volumes.io import read_volume
from IncrementalSegLib.volumes.notes import Note
from IncrementalSegLib.volumes.pictures import is_picture
from IncrementalSegLib.volumes.volume import Volume


@dataclass(frozen=True)
class ReadyModel:
    """A model that is loaded once for any number of scans.

    Attributes:
        loaded: The version.
        structures: The structures asked for.
        predictor: The network on its device.
        domain: The training scans, as aggregates.
        warnings: What a person should know is appended here.
    """

    loaded: LoadedModel
    structures: StructureList
    predictor: Predictor
    domain: TrainingDomain
    warnings: list[str]

    @classmethod
    def open(
        cls,
        model: str | Path,
        structures: str | None = None,
        version: int | None = None,
        device: DeviceName = "auto",
        loader: Loader = load,
        warnings: list[str] | None = None,
    ) -> ReadyModel:
        """Load a version.

        Args:
            model: The model's folder.
            structures: Names, comma-separated; all by default.
            version: Number of the version; the current one by default.
            device: ``auto``, ``cpu`` or ``cuda``.
            loader: Loads the model.
            warnings: The list for what a person should know.

        Raises:
            IncrementalSegError: The model, the version, a structure or the device is unknown.
        """
        warnings = [] if warnings is None else warnings
        folder = open_model(model)
        names = None if structures is None else names_in(structures)
        chosen = folder.record(version).structures.select(names)
        runtime = start(device)
        loaded = loader(folder, runtime, version)
        warnings += quality_warnings(folder, loaded.record.number, chosen)
        domain = TrainingDomain.of(folder, loaded.record.number, warnings.append)
        return cls(loaded, chosen, loaded.predictor(runtime), domain, warnings)

    def read(self, source: ScanSource, strict: bool = False) -> Volume:
        """Read a scan.

        Args:
            source: The scan.
            strict: What a person should know of its file is an error.

        Raises:
            DataError: It cannot be read, or does not fit the model's plan.
        """
        notes: list[Note] = []
        volume = read_volume(source.paths, notes)
        notes += judge_image(volume, source.name)
        if strict and notes:
            raise DataError(
                f"{source.name}: {notes[0].message}",
                todo=Hint("With ", OptionRef("strict", True), " every note on a scan is an error."),
            )
        self.warnings.extend(f"{source.name}: {note.message}" for note in notes)
        if volume.grid.planar and any(map(is_picture, source.paths)):
            self.warnings.append(f"{source.name} is a picture without millimetres: 1000 of its pixels count as 1 ml.")
        self.loaded.plan.check(volume, f"The scan {source.name}")
        return volume

    def predict(
        self,
        volume: Volume,
        name: str,
        on_features: Callable[[ScanFeatures], None] = lambda features: None,
        **options: Any,
    ) -> Prediction:
        """Predict a scan, and warn where it is far from the training scans.

        Args:
            volume: The scan.
            name: What it is called.
            on_features: Receives the features by which it is compared with the training scans.
            **options: Of :meth:`IncrementalSegLib.inference.predictor.Predictor.predict`.

        Raises:
            DataError: The scan does not fit the model's plan.
        """

        def compare(image: Tensor) -> None:
            features = scan_features(volume, image, self.loaded.plan)
            on_features(features)
            self.warnings.extend(warnings_of(self.domain, features, self.structures, name))

        return self.predictor.predict(volume, self.structures.ids, on_image=compare, **options)

"""A protocol as data: who teaches what, in which order, for how long, by which methods."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from IncrementalSegLib.engine.settings import PresetName
from IncrementalSegLib.types import Json


@dataclass(frozen=True)
class Data:
    """A data set, and who of it measures.

    Attributes:
        folder: Name of the folder of a public data set; empty: phantoms.
        test_volumes: Patients who measure.  They are the same for every seed and never teach.
        seed: Draws them; of phantoms, the number of the first people.
        volumes: Phantoms who teach stages that share their scans.
        size: Samples of a phantom along D, H, W; the scanner's own by default.
    """

    folder: str
    test_volumes: int
    seed: int
    volumes: int = 0
    size: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class Stage:
    """What a model is taught at once.

    Attributes:
        structures: Label names.
        steps: Optimiser steps.
        volumes: Patients who teach; 0: all, or an equal part of disjoint stages.
        scanner: Scanner of a phantom, which also measures these structures.
    """

    structures: tuple[str, ...]
    steps: int
    volumes: int = 0
    scanner: str = "A"


@dataclass(frozen=True)
class Protocol:
    """Stages on a data set.

    Attributes:
        name: Short name, for files and the command line.
        group: Protocols of one group share a heading and pictures, which carry its name.
        heading: Heading of the group.
        title: Heading of the protocol; empty where it has a group of its own.
        data: Where the scans come from.
        stages: What each stage teaches.
        methods: What is run by default, in the order of the tables.
        first: Method that begins every model.
        network: Registered name of the trunk.
        preset: Size and schedule.
        disjoint: Every stage has patients of its own, dealt by the seed.  Otherwise a stage sees all scans in which
            one of its structures occurs.
        exemplars: Whether a stage keeps exemplars for the next.
        validation: The patients of the test are left out, and a quarter of those who teach measure instead, so that
            options can be chosen.
    """

    name: str
    group: str
    heading: str
    title: str
    data: Data
    stages: tuple[Stage, ...]
    methods: tuple[str, ...]
    first: str
    network: str = "unet2d"
    preset: PresetName = "quick"
    disjoint: bool = False
    exemplars: bool = False
    validation: bool = False

    @property
    def structures(self) -> tuple[str, ...]:
        """All structures, in the order in which they are taught."""
        return tuple(name for stage in self.stages for name in stage.structures)

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """The structures of the first stage, of all later ones, and all."""
        old, new = self.stages[0].structures, self.structures[len(self.stages[0].structures) :]
        return {"Old": old, "New": new, "All": (*old, *new)}

    def setting(self) -> Json:
        """Return what results must have in common to stand in one table."""
        found: Json = json.loads(json.dumps(asdict(self)))
        for name in ("name", "group", "heading", "title", "methods"):
            del found[name]
        return found

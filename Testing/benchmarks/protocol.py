"""Protocols as data: training scans, structures, order, schedule and methods."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from IncrementalSegLib.correction.user import Guidance
from IncrementalSegLib.engine.settings import PresetName
from IncrementalSegLib.types import Json


@dataclass(frozen=True)
class Data:
    """A data set and its test patients.

    Attributes:
        folder: Folder name of a public data set; empty for phantoms.
        test_volumes: Number of test patients. They are the same for every seed and are never used for training.
        seed: Draws the test patients; for phantoms, the number of the first people.
        volumes: Number of phantoms for training where the stages share them.
        size: Samples of a phantom along D, H, W; the scanner's own by default.
        slices: The middle slice of each volume alone, in training and test.
    """

    folder: str
    test_volumes: int
    seed: int
    volumes: int = 0
    size: tuple[int, int, int] | None = None
    slices: bool = False


@dataclass(frozen=True)
class Source:
    """Training scans in which the same structures are annotated.

    Attributes:
        domain: Kind of scans, with one data set and scanner; the sources of a stage in it share out the training
            patients by the seed.
        data: The data set.
        structures: Label names that are annotated; all others are unknown.
        scanner: Scanner of the phantoms.
    """

    domain: str
    data: Data
    structures: tuple[str, ...]
    scanner: str = "A"


@dataclass(frozen=True)
class Stage:
    """A step of a protocol.

    Attributes:
        structures: Label names of the structures that are taught.
        steps: Optimiser steps.
        volumes: Number of training patients; 0 for all, or for an equal part in disjoint stages.
        scanner: Scanner of the phantoms, in training and test of these structures.
        sources: Training scans of several sources; by default those of the protocol's data set.
        improve: The structures are known, and are taught on other scans.
    """

    structures: tuple[str, ...]
    steps: int
    volumes: int = 0
    scanner: str = "A"
    sources: tuple[Source, ...] = ()
    improve: bool = False


@dataclass(frozen=True)
class Session:
    """Corrections of test images by a simulated user, after the stages; the seed draws the images and their order.

    Attributes:
        tasks: Images, one to each task.
        spots: Corrected areas of a round.
        rounds: Rounds of an image.
        forward: The task after which the images of all later ones are predicted.
        guidance: Which wrong areas are corrected first.
    """

    tasks: int = 8
    spots: int = 16
    rounds: int = 2
    forward: int = 4
    guidance: Guidance = "uncertainty"


@dataclass(frozen=True)
class Protocol:
    """Stages on a data set.

    Attributes:
        name: Short name, for files and the command line.
        group: Protocols of one group share a heading and plots.
        heading: Heading of the group.
        title: Heading of the protocol; empty where it has a group of its own.
        data: The data set.
        stages: The stages in order.
        methods: Methods and bounds that are run by default, in the order of the tables.
        first: Method of the first step of every model; empty where each method begins its own models.
        network: Registered name of the trunk.
        preset: Size and schedule.
        disjoint: Every stage has patients of its own, drawn by the seed. Otherwise a stage uses all scans that show
            one of its structures.
        exemplars: Whether models that share a first step keep exemplars. A method that begins its own keeps what it
            rehearses.
        unlabelled: Later stages see the scans of earlier ones again, without labels, where the method draws such scans.
        validation: The test patients are left out, and a quarter of the others are the test, for choosing options.
        beginners: Methods that begin their own models although there is ``first``: they need more than its weights.
            They may be of another family. Those that need a memory of their own steps, or exemplars that are not
            kept, do so anyway.
        session: Corrections after the last stage, or ``None``.
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
    unlabelled: bool = False
    validation: bool = False
    beginners: tuple[str, ...] = ()
    session: Session | None = None

    @property
    def structures(self) -> tuple[str, ...]:
        """All structures, in the order in which they are taught."""
        return tuple(dict.fromkeys(name for stage in self.stages for name in stage.structures))

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """The structures of the first stage, of all later ones, and all."""
        old, new = self.stages[0].structures, self.structures[len(self.stages[0].structures) :]
        return {"Old": old, "New": new, "All": (*old, *new)}

    def setting(self) -> Json:
        """Return the settings that the results of one table have in common."""
        found: Json = json.loads(json.dumps(asdict(self)))
        for stage in found["stages"]:
            for data in (found["data"], *(source["data"] for source in stage["sources"])):
                if not data.get("slices", True):
                    del data["slices"]
            for name in ("sources", "improve"):
                if not stage[name]:
                    del stage[name]
        unset = [name for name in ("unlabelled", "session") if not found[name]]
        for name in ("name", "group", "heading", "title", "methods", "beginners", *unset):
            del found[name]
        return found

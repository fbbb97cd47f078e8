"""What is run, as data: the structures in their order, and which of them each stage teaches.

The protocol N1-N2 teaches the first N1 structures, then N2 more in each of (C - N1) / N2 stages (Zhu et al., AAAI 2026,
Experimental Setup).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from IncrementalSegLib.errors import OptionError, UnknownNameError
from IncrementalSegLib.sampling.phantom import STRUCTURES
from IncrementalSegLib.types import Json

Stages = tuple[tuple[str, ...], ...]
"""The structures that each stage teaches."""


@dataclass(frozen=True)
class Source:
    """A data set with the order in which its structures are taught.

    Attributes:
        name: Short name, for files and the command line.
        title: For people.
        folder: Folder of the data set, or ``None`` for phantoms.
        structures: Label names, in order.
        protocol: The usual protocol.
        steps: Optimiser steps of a stage in 2-D.
        test_volumes: Patients to measure on, the same for every seed; all others teach.
        volumes: Phantoms that teach.
        size: Samples of a phantom along D, H, W.
    """

    name: str
    title: str
    folder: str | None
    structures: tuple[str, ...]
    protocol: str
    steps: int
    test_volumes: int
    volumes: int = 0
    size: tuple[int, int, int] | None = None


SOURCES: tuple[Source, ...] = (
    Source(
        name="btcv",
        title="Abdomen CT",
        folder="abdomen-ct-btcv",
        structures=(
            "spleen", "right kidney", "left kidney", "gallbladder", "esophagus", "pancreas", "liver", "stomach",
        ),
        protocol="4-2",
        steps=1000,
        test_volumes=6,
    ),
    Source(
        name="spine",
        title="Lumbar spine MR",
        folder="lumbar-spine-mr",
        structures=("vertebrae", "intervertebral discs", "spinal canal"),
        protocol="1-1",
        steps=300,
        test_volumes=8,
    ),
    Source(
        name="phantom",
        title="Phantom shoulder",
        folder=None,
        structures=STRUCTURES,
        protocol="3-2",
        steps=100,
        test_volumes=5,
        volumes=8,
        size=(12, 64, 64),
    ),
)  # fmt: skip
"""The order of the eight organs is the paper's; that of the others, and all numbers of steps, are our own choice."""


@dataclass(frozen=True)
class Protocol:
    """Stages on a data set.

    Attributes:
        source: The data set.
        text: N1-N2.
        stages: What each stage teaches.
        cases: ``shared``: a stage sees the teaching scans in which one of its structures occurs;
            ``disjoint``: those of its own part of the patients, dealt by the seed.
        network: Registered name of the trunk.
        preset: Size and schedule.
        steps: Optimiser steps of a stage.
        split: ``test``: the patients of the test measure.  ``validation``: they are left out, and a quarter of those
            who teach measure instead, so that options may be chosen.

    Raises:
        OptionError: ``cases`` or ``split`` is neither.
    """

    source: Source
    text: str
    stages: Stages
    cases: str = "shared"
    network: str = "unet2d"
    preset: str = "quick"
    steps: int = 300
    split: str = "test"

    def __post_init__(self) -> None:
        for name, known in (("cases", ("shared", "disjoint")), ("split", ("test", "validation"))):
            if getattr(self, name) not in known:
                raise OptionError(f"The option {name} is {getattr(self, name)!r}.", todo=f"Use {' or '.join(known)}.")

    @property
    def name(self) -> str:
        """Name of its folder: data set and protocol, then what is not usual."""
        usual = ((self.cases, "shared"), (self.network, "unet2d"), (self.split, "test"))
        unusual = [word for word, normal in usual if word != normal]
        return "-".join((self.source.name, self.text, *unusual))

    @property
    def structures(self) -> tuple[str, ...]:
        """All structures, in order."""
        return tuple(name for stage in self.stages for name in stage)

    def setting(self) -> Json:
        """Return what results must have in common to stand in one table."""
        return {
            "dataset": self.source.name,
            "stages": [list(stage) for stage in self.stages],
            "cases": self.cases,
            "network": self.network,
            "preset": self.preset,
            "steps": self.steps,
        } | ({} if self.split == "test" else {"split": self.split})


def find_source(name: str) -> Source:
    """Return a data set by name.

    Raises:
        UnknownNameError: There is none of that name.
    """
    known = {source.name: source for source in SOURCES}
    if name not in known:
        raise UnknownNameError("data set", name, known)
    return known[name]


def deal_structures(structures: tuple[str, ...], text: str) -> Stages:
    """Deal structures to the stages of a protocol.

    Args:
        structures: All of them, in order.
        text: N1-N2.

    Raises:
        OptionError: The text is no protocol, or these structures cannot be dealt so.

    Example:
        >>> deal_structures(("spleen", "liver", "stomach"), "1-2")
        (('spleen',), ('liver', 'stomach'))
    """
    found = re.fullmatch(r"([1-9]\d*)-([1-9]\d*)", text)
    if found is None:
        raise OptionError(f"The protocol {text!r} is not of the form N1-N2.", todo="Write for example 4-2.")
    first, more, count = int(found[1]), int(found[2]), len(structures)
    if first >= count or (count - first) % more:
        fitting = [f"{first}-{size}" for size in range(1, count - first + 1) if (count - first) % size == 0]
        raise OptionError(
            f"The {count} structures ({', '.join(structures)}) cannot be taught as {text}.",
            f"After {first} there are {max(count - first, 0)} left, which do not make stages of {more}.",
            f"Use {' or '.join(fitting)}." if fitting else f"Begin with fewer than {count}.",
        )
    return (structures[:first], *(structures[place : place + more] for place in range(first, count, more)))

"""What the benchmarks run, as data: which scans teach what, for how long, by which methods.

A protocol teaches one structure, then another from other patients in whose scans only that one is outlined.  Its
scenarios differ in the second step alone, and share the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from IncrementalSegLib.errors import OptionError, UnknownNameError
from IncrementalSegLib.registry import names

METHODS = ("finetune", "lwfseg", "reseg", "aeiseg", "coriseg", "separate")
"""The methods of Ozdemir 2018, the control with random exemplars, and networks of their own as the bound."""


@dataclass(frozen=True)
class Scenario:
    """The second step of a protocol.

    Attributes:
        name: Short name, for files.
        title: For people.
        methods: The methods that are run.
        volumes: Annotated volumes in the second step.
        scanner: Scanner of the second step's scans; only phantoms have one.
    """

    name: str
    title: str
    methods: tuple[str, ...]
    volumes: int
    scanner: str = "A"


@dataclass(frozen=True)
class Protocol:
    """A first step, its scenarios, and what they are measured on.

    Attributes:
        name: Short name, for files.
        title: For people.
        data: Folder of the data set, or ``None`` for phantoms.
        network: Registered name of the trunk.
        preset: Size and schedule.
        steps: Optimiser steps of the first and the second step.
        old: Structure of the first step.
        new: Structure of the second step.
        first_volumes: Annotated volumes in the first step.
        test_volumes: Volumes to measure on; their patients never teach anything, whatever the seed.
        scenarios: The second steps.
        size: Samples along D, H, W of a phantom; the scanner's own by default.
        by_default: Whether it runs without being named.
    """

    name: str
    title: str
    data: str | None
    network: str
    preset: str
    steps: tuple[int, int]
    old: str
    new: str
    first_volumes: int
    test_volumes: int
    scenarios: tuple[Scenario, ...]
    size: tuple[int, int, int] | None = None
    by_default: bool = True


_SHOULDER = (
    Scenario("case1", "Case 1: same scanner", METHODS, volumes=8),
    Scenario(
        "case3",
        "Case 3: the second step, and the test of the new structure, on another scanner",
        METHODS,
        volumes=8,
        scanner="C",
    ),
)
_CURVE = ("lwfseg", "aeiseg", "separate")

PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="phantom",
        title="Phantom shoulder, 2-D",
        data=None,
        network="unet2d",
        preset="quick",
        steps=(300, 300),
        old="humerus",
        new="scapula",
        first_volumes=8,
        test_volumes=6,
        scenarios=_SHOULDER,
    ),
    Protocol(
        name="spine",
        title="Lumbar spine MR, 2-D",
        data="lumbar-spine-mr",
        network="unet2d",
        preset="quick",
        steps=(300, 300),
        old="vertebrae",
        new="intervertebral discs",
        first_volumes=11,
        test_volumes=8,
        scenarios=(
            Scenario("case1", "Case 1: 10 volumes in the second step", METHODS, volumes=10),
            Scenario("case2", "Case 2: 1 volume in the second step", METHODS, volumes=1),
            Scenario("volumes2", "2 volumes in the second step", _CURVE, volumes=2),
            Scenario("volumes5", "5 volumes in the second step", _CURVE, volumes=5),
        ),
    ),
    Protocol(
        name="hippocampus",
        title="Hippocampus MR, 3-D",
        data="hippocampus-mr",
        network="unet3d",
        preset="quick",
        steps=(200, 200),
        old="anterior hippocampus",
        new="posterior hippocampus",
        first_volumes=50,
        test_volumes=30,
        scenarios=(
            Scenario("case1", "Case 1: other patients", ("finetune", "lwfseg", "aeiseg", "separate"), volumes=50),
        ),
    ),
    Protocol(
        name="phantom-paper",
        title="Phantom shoulder at the paper's width, for a GPU",
        data=None,
        network="unet2d",
        preset="paper",
        steps=(1500, 1500),
        old="humerus",
        new="scapula",
        first_volumes=8,
        test_volumes=6,
        scenarios=_SHOULDER,
        size=(24, 192, 192),
        by_default=False,
    ),
)
"""Steps are measured: with three seeds everything takes about an hour on two otherwise idle threads of a CPU."""


@dataclass(frozen=True)
class Chain:
    """One run: a first step, a second step by one method, and its scores.

    Attributes:
        protocol: The protocol.
        scenario: Its second step.
        method: Name of the method of the second step.
        seed: Decides which patients teach, and everything random in training.
    """

    protocol: Protocol
    scenario: Scenario
    method: str
    seed: int

    @property
    def name(self) -> str:
        """Name of its file without the ending."""
        return f"{self.scenario.name}-{self.method}-seed{self.seed}"


def chains(
    protocols: Sequence[Protocol], methods: Sequence[str] | None, seeds: int, shard: tuple[int, int] = (1, 1)
) -> list[Chain]:
    """List the chains of one part of the work, in the order in which they are best done.

    All of one seed come before the next, so that a table can be shown early; the parts begin with different
    protocols, so that they do not wait for each other's first steps.

    Args:
        protocols: The protocols.
        methods: Only these methods; all by default.
        seeds: Seeds 0, 1, ...
        shard: Number of the part, from 1, and how many parts there are.
    """
    part, parts = shard
    everything = [
        Chain(protocol, scenario, method, seed)
        for seed in range(seeds)
        for protocol in protocols
        for scenario in protocol.scenarios
        for method in scenario.methods
        if methods is None or method in methods
    ]
    places = {protocol.name: place for place, protocol in enumerate(protocols)}

    def order(chain: Chain) -> tuple[int, int]:
        return chain.seed, (places[chain.protocol.name] - part + 1) % len(protocols)

    return sorted(everything[part - 1 :: parts], key=order)


def find_protocols(text: str | None, with_data: bool) -> list[Protocol]:
    """Choose protocols by name.

    Args:
        text: Comma-separated names; by default all that need neither a GPU nor data that is not there.
        with_data: Whether real scans are there.

    Raises:
        UnknownNameError: No such protocol.
        OptionError: A protocol needs real scans and there are none.
    """
    if text is None:
        return [item for item in PROTOCOLS if item.by_default and (with_data or item.data is None)]
    known = {item.name: item for item in PROTOCOLS}
    chosen = []
    for name in _split(text):
        if name not in known:
            raise UnknownNameError("protocol", name, known)
        if known[name].data is not None and not with_data:
            raise OptionError(
                f"The protocol {name!r} runs on real scans.",
                todo=f"Name the folder that holds {known[name].data}: --data.",
            )
        chosen.append(known[name])
    return chosen


def find_methods(text: str | None) -> list[str] | None:
    """Choose methods by name; ``None`` is all.

    Raises:
        UnknownNameError: No such method in the benchmark.
    """
    if text is None:
        return None
    chosen = _split(text)
    for name in chosen:
        if name not in METHODS:
            why = "It is registered, but no protocol here runs it." if name in names("method") else ""
            raise UnknownNameError("method of the benchmark", name, METHODS, why)
    return chosen


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]

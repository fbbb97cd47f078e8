"""Zhu et al. 2026 (PCDD): one softmax that grows, and the methods that PCDD is compared with.

The protocol N1-N2 teaches the first N1 structures of a data set, then N2 more in each of (C - N1) / N2 stages (Zhu et
al., AAAI 2026, Experimental Setup).  A name describes it: ``btcv-4-2``, ``spine-1-1-validation``,
``btcv-4-1-disjoint-unet3d-paper``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from statistics import fmean

from IncrementalSegLib.engine.settings import PresetName
from IncrementalSegLib.errors import OptionError
from IncrementalSegLib.evaluation.intervals import Comparison
from IncrementalSegLib.progress import duration
from IncrementalSegLib.sampling.phantom import STRUCTURES
from Testing.benchmarks.claims import Claim, judged, points, spread
from Testing.benchmarks.paper import Paper
from Testing.benchmarks.protocol import Data, Protocol, Stage
from Testing.benchmarks.results import Outcome, Results
from Testing.benchmarks.summary import gap, table
from Testing.benchmarks.variants import BOUNDS, family, method_of

INTRODUCTION = """# One softmax that grows: PCDD and what it is compared with

The protocol N1-N2 teaches N1 structures, then N2 more in each stage; the labels of earlier stages are hidden. *Old*
are the structures of the first stage, *New* those of all later ones, as after the last stage. Dice in per cent, the
mean over the structures that occur in a test case, over cases and seeds; what is found where it does not occur is not
counted. The patients of the test are the same for every seed and never teach.
Brackets are 95 % t-intervals over seeds and cases, given from three seeds on; differences are paired by test case and
seed, in points of Dice (0.01). *Forgetting* is what a structure has lost since it was known best, the mean over
structures and, in parentheses, the least and most of the seeds. `offline` is taught everything at once with all
labels and the steps of all stages, `separate` is a model of its own for each stage: bounds, not rivals.
`METHOD+OPTION=VALUE` is a method with other options than its own.

*better* and *worse*: the interval of the difference excludes 0; *not below*: it includes 0 and begins above −2 points;
*not distinguishable*: anything else. A fifth of the volumes that
teach choose a stage's best weights, by its own structures; a stage in which these gain nothing ends early. Curves: thin
lines are seeds, `offline` has none.
"""

FIRST = "finetune-softmax"
"""Trains what begins a model: there, methods of the class family differ in nothing but the soft Dice term."""

METHODS = (
    "offline", "separate", FIRST, "lwf", "ilt", "pseudo-label", "mib", "plop", "sdr", "reminder", "conuseg", "inseg",
    "pcdd",
)  # fmt: skip
"""The bounds, and the methods as they build on each other; a method of yours is run after them."""

_ORGANS = ("spleen", "right kidney", "left kidney", "gallbladder", "esophagus", "pancreas", "liver", "stomach")

BEGINNERS = ("cfil", "dodnet", "clip-driven", "versatile")
"""Methods without a softmax that grows (Chen et al. 2024), which are run where they are named."""

SOURCES = {
    "btcv": ("Abdomen CT", Data("abdomen-ct-btcv", 6, 2026), _ORGANS, 1000),
    "spine": (
        "Lumbar spine MR", Data("lumbar-spine-mr", 8, 2026), ("vertebrae", "intervertebral discs", "spinal canal"), 300,
    ),
    "phantom": ("Phantom shoulder", Data("", 5, 4000, 8, (12, 64, 64)), STRUCTURES, 100),
}  # fmt: skip
"""Data set -> title, scans, structures in the order in which they are taught, optimiser steps of a stage.

The order of the eight organs is the paper's; that of the others, and all numbers of steps, are our own choice.
"""


def read(name: str) -> Protocol | None:
    """Return the protocol ``DATA-N1-N2`` with what is not usual about it, or ``None`` where the name is none.

    Args:
        name: May end in any of ``-disjoint``, ``-unet3d``, ``-standard`` or ``-paper``, and ``-validation``.

    Raises:
        OptionError: The structures cannot be dealt so.
    """
    source, *numbers = name.split("-")
    words = numbers[2:]
    preset: PresetName = "standard" if "standard" in words else "paper" if "paper" in words else "quick"
    known = {"disjoint", "unet3d", "validation", preset}
    if source not in SOURCES or len(numbers) < 2 or not all(map(str.isdecimal, numbers[:2])) or set(words) - known:
        return None
    heading, data, structures, steps = SOURCES[source]
    return Protocol(
        name=name,
        group=name,
        heading=f"{heading}, {name}",
        title="",
        data=data,
        stages=tuple(Stage(part, steps) for part in deal_structures(structures, int(numbers[0]), int(numbers[1]))),
        methods=(*METHODS, *sorted(set(family(FIRST)) - set(METHODS))),
        first=FIRST,
        beginners=BEGINNERS,
        network="unet3d" if "unet3d" in words else "unet2d",
        preset=preset,
        disjoint="disjoint" in words,
        validation="validation" in words,
    )


def deal_structures(structures: tuple[str, ...], first: int, more: int) -> list[tuple[str, ...]]:
    """Deal structures to the stages of the protocol ``first``-``more``.

    Raises:
        OptionError: They cannot be dealt so.

    Example:
        >>> deal_structures(("spleen", "liver", "stomach"), 1, 2)
        [('spleen',), ('liver', 'stomach')]
    """
    count = len(structures)
    if not 0 < first < count or not more or (count - first) % more:
        fitting = [f"{first}-{size}" for size in range(1, count - first + 1) if (count - first) % size == 0]
        raise OptionError(
            f"The {count} structures ({', '.join(structures)}) cannot be taught as {first}-{more}.",
            f"After {first} there are {max(count - first, 0)} left, which do not make stages of {more}.",
            f"Use {' or '.join(fitting)}." if first and fitting else f"Begin with 1 to {count - 1}.",
        )
    return [structures[:first], *(structures[place : place + more] for place in range(first, count, more))]


def tables(results: Results) -> list[str]:
    """Return old, new and all structures by method, differences to MiB, and each structure."""
    outcomes, everything = list(results.outcomes.values()), results.protocol.groups["All"]
    lines = table(_COLUMNS, [_row(outcome, results) for outcome in outcomes])
    methods = [outcome for outcome in outcomes if method_of(outcome.name) not in BOUNDS]
    rows = [row for outcome in methods if (row := _against_mib(outcome, results))]
    if rows:
        lines += ["### Against mib", "", *table(("method", *results.protocol.groups, "on all"), rows)]
    each = [
        (outcome.name, *(_number(100 * fmean(outcome.mean([item]).values())) for item in everything))
        for outcome in outcomes
    ]
    return [*lines, "### Each structure after the last stage", "", *table(("method", *everything), each)]


_COLUMNS = ("method", "Old", "New", "All", "All − offline", "forgetting", "seeds", "time of a stage")


def _row(outcome: Outcome, results: Results) -> list[str]:
    lost, groups = outcome.forgetting, results.protocol.groups
    return [
        outcome.name,
        *(_dice(outcome.dice(structures)) for structures in groups.values()),
        gap(outcome.against(results.outcomes.get("offline"), groups["All"])),
        f"{_number(fmean(lost))} ({_number(min(lost))} to {_number(max(lost))})" if lost else "–",
        str(len(outcome.chains)),
        duration(outcome.seconds),
    ]


def _against_mib(outcome: Outcome, results: Results) -> list[str]:
    """Return a row of differences and the verdict; empty for mib, and without it."""
    groups = results.protocol.groups.values()
    gaps = [outcome.against(results.outcomes.get("mib"), structures) for structures in groups]
    everything = gaps[-1]
    return [outcome.name, *map(gap, gaps), everything.verdict] if everything is not None else []


def _dice(found: Comparison) -> str:
    if found.low is None or found.high is None:
        return _number(found.points)
    return f"{_number(found.points)} [{_number(found.low)}, {_number(found.high)}]"


def _number(value: float) -> str:
    return f"{round(value, 1) + 0.0:.1f}".replace("-", "−")  # no −0.0


LOSE = ("finetune-softmax", "lwf")
HOLD = ("mib", "sdr", "pcdd", "cfil")
_HELD = 0.8  # our own choice: the papers show a picture of holding, and give no bar
_LEARNED = 0.1  # Dice


def claims(results: Results) -> Iterator[Claim]:
    """Yield the claims about a protocol."""
    outcomes, everything = results.outcomes, results.protocol.groups["All"]
    for name in LOSE:
        if name in outcomes and len(results.protocol.stages) > 2:
            kept, text = outcomes[name].kept(2), "after the second increment less than 50 % of their first Dice is left"
            yield _kept(outcomes[name], f"loses the old structures: {text}", max(kept) < 0.5, kept)
    for name in HOLD:
        if name in outcomes:
            yield holds(outcomes[name])
    below = outcomes["pcdd"].against(outcomes.get("mib"), everything) if "pcdd" in outcomes else None
    if below is not None:
        text = "pcdd is not more than 2 points below mib on all structures: lower end of the paired interval"
        yield judged(text, below.not_below, points(below), below.seeds)
    for name in HOLD:
        distance = outcomes[name].against(outcomes.get("offline"), everything) if name in outcomes else None
        if distance is not None:
            yield Claim(f"distance of {name} to offline on all structures", "MEASURED", points(distance))


def holds(outcome: Outcome, where: str = "", cases: Collection[str] | None = None) -> Claim:
    """Return the claim that a method holds the structures of the first stage.

    Args:
        outcome: The method.
        where: What the cases are, in words, with a blank before it.
        cases: Only these test cases count; by default all.
    """
    kept, text = outcome.kept(cases=cases), "after the last stage at least 80 % of their first Dice is left"
    return _kept(outcome, f"holds the old structures{where}: {text}", min(kept) >= _HELD, kept, cases)


def _kept(
    outcome: Outcome, does: str, seen: bool, kept: Sequence[float], cases: Collection[str] | None = None
) -> Claim:
    """Judge what became of the first structures; what was never learned cannot be kept or lost."""
    text = f"{outcome.name} {does}, with every seed"
    first = min(outcome.mean(outcome.protocol.stages[0].structures, 0, cases).values())
    if first < _LEARNED:
        return judged(text, False, f"not learned: their first Dice is {100 * first:.1f} %", len(kept))
    return judged(text, seen, f"keeps {spread(kept)}", len(kept))


PROTOCOLS = tuple(protocol for name in ("btcv-4-2", "spine-1-1", "phantom-3-2") if (protocol := read(name)) is not None)

PAPER = Paper(
    INTRODUCTION,
    PROTOCOLS,
    tables,
    claims,
    notes=(
        "soft Dice on a stage's structures beside every method's cross-entropy: our own choice, off by `+dice=false`",
        "the first stage of a seed is trained once and shared by all methods of the family but those that rehearse",
    ),
    read=read,
)

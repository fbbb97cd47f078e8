"""Zheng et al. 2021 (CLIS): corrections of one image after another, by a simulated user.

A name is ``DATA``, ``DATA-random`` or ``DATA-error``, after the areas that are corrected first; it may end in
``-validation``, for choosing options on the images of the pre-training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from statistics import fmean

from IncrementalSegLib.correction.user import Guidance
from IncrementalSegLib.engine.correct import PROPAGATE_ONLY
from IncrementalSegLib.evaluation.intervals import Comparison, Pairs
from IncrementalSegLib.registry import names
from IncrementalSegLib.types import Json
from Testing.benchmarks.claims import Claim, judged, points
from Testing.benchmarks.corrections import mean_iou, weighted_iou
from Testing.benchmarks.paper import Paper
from Testing.benchmarks.protocol import Data, Protocol, Session, Stage
from Testing.benchmarks.results import Outcome, Results
from Testing.benchmarks.seeds import compare_methods
from Testing.benchmarks.summary import gap, table

INTRODUCTION = """# Corrections of one image after another: CLIS and what it is compared with

A model learns from pre-training images. A simulated user then corrects a sequence of eight test images, one to each
task: 16 wrong areas in each of two rounds, each by a stroke of two pixels' radius; the strokes spread, and a copy of
the model learns. *First* is the outline of an image before its own corrections, *basic* after them. *Forward*: after
task 4, the images of tasks 5 to 8; *backward*: after task 8, those of tasks 1 to 7; both without strokes.
`propagate-only` learns nothing: its first, forward and backward outlines are those of the pre-trained model.

Mean IoU of the structures and the background, in per cent; *weighted* is the IoU weighted by the share of each class in
the truth, as in the authors' code. Every seed is a sequence of its own; consecutive ones, five of the skin and two of
the spine, share no image and begin from one pre-trained model. All methods correct the same images. Brackets are 95 %
t-intervals over sequences and images, given from three sequences on; they say little about other pre-training.
Differences are paired by image and sequence, in points (0.01).
*better* and *worse*: the interval excludes 0.
"""

FIRST = "finetune-softmax"
"""Trains the models from which the sequences begin, except those of :data:`BEGINNERS`."""

BEGINNERS = ("clis", "ewc", "packnet")
"""A Bayesian network, the Fisher information of weights, and masks of weights."""

METHODS = tuple(
    name
    for name in (PROPAGATE_ONLY, FIRST, "lwf-instances", "lwf", "mib", "ewc", "packnet", "clis")
    if name in (PROPAGATE_ONLY, *names("method"))
)

RIVALS = ("ewc", "packnet", "lwf-instances")
"""The methods of the paper's table, in the order of its results."""

IoU = Callable[[Mapping[str, list[int]]], float]

MEASURES = ("first", "basic", "forward", "backward")

_SOURCES = {
    "skin": ("Skin lesions (ISIC 2017)", Data("skin-2d-isic2017", 40, 2021), ("lesion",), 300),
    "spine": (
        "Lumbar spine MR, middle slices",
        Data("lumbar-spine-mr", 16, 2021, slices=True),
        ("vertebrae", "intervertebral discs", "spinal canal"),
        300,
    ),
    "phantom": ("Phantom shoulder", Data("", 8, 9000, 6, (6, 64, 64)), ("humerus",), 60),
}
"""Data set -> title, images, structures and optimiser steps of the pre-training; the steps are our own choice."""

_GUIDANCE: dict[str, Guidance] = {"": "uncertainty", "random": "random", "error": "error"}
_TITLES = {"": "The most uncertain wrong areas", "random": "Any wrong areas", "error": "The largest wrong areas"}


def read(name: str) -> Protocol | None:
    """Return the protocol of a name, or ``None`` where it is none."""
    validation = name.endswith("-validation")
    source, _, order = name.removesuffix("-validation").partition("-")
    if source not in _SOURCES or order not in _GUIDANCE:
        return None
    heading, data, structures, steps = _SOURCES[source]
    return Protocol(
        name=name,
        group=source,
        heading=heading,
        title=_TITLES[order] + ("; validation" if validation else ""),
        data=data,
        stages=(Stage(structures, steps),),
        methods=METHODS,
        first=FIRST,
        beginners=BEGINNERS,
        session=Session(guidance=_GUIDANCE[order]),
        validation=validation,
    )


def pairs(outcome: Outcome, measure: str, iou: IoU = mean_iou) -> Pairs:
    """Return the IoU of one measure by image and seed."""
    return {
        (task["case"], seed): iou(task[measure])
        for seed, chain in outcome.chains.items()
        for task in chain["tasks"]
        if measure in task
    }


def against(one: Outcome, other: Outcome | None, measure: str) -> Comparison | None:
    """Compare two methods on the images and sequences of both; ``None`` without any."""
    if other is None or other is one or not one.chains.keys() & other.chains.keys():
        return None
    return compare_methods(pairs(one, measure), pairs(other, measure))


def tables(results: Results) -> list[str]:
    """Return IoU by method, what is gained over no learning, and the weighted IoU."""
    outcomes = list(results.outcomes.values())
    control = results.outcomes.get(PROPAGATE_ONLY)
    rows = [
        [
            outcome.name,
            *(_level(outcome, measure) for measure in MEASURES),
            str(len(outcome.chains)),
            f"{fmean(_seconds(outcome)):.0f} s",
        ]
        for outcome in outcomes
    ]
    gains = [
        [outcome.name, *(gap(against(outcome, control, measure)) for measure in MEASURES)]
        for outcome in outcomes
        if control is not None and outcome is not control
    ]
    weighted = [
        [outcome.name, *(f"{_over_sequences(outcome, measure, weighted_iou).points:.1f}" for measure in MEASURES)]
        for outcome in outcomes
    ]
    return [
        *table(("method", *MEASURES, "sequences", "time of a round"), rows),
        *(("### Against propagate-only", "", *table(("method", *MEASURES), gains)) if gains else ()),
        *("### Weighted IoU", "", *table(("method", *MEASURES), weighted)),
    ]


def claims(results: Results) -> Iterator[Claim]:
    """Yield the claims about a protocol."""
    found = results.outcomes
    for name, outcome in found.items():
        above = against(outcome, found.get(PROPAGATE_ONLY), "forward")
        if above is not None:
            text = f"{name} raises later outlines: forward, paired interval above 0"
            yield judged(text, above.verdict == "better", points(above), above.seeds)
    for rival in RIVALS:
        for measure in MEASURES[1:]:
            above = against(found["clis"], found.get(rival), measure) if "clis" in found else None
            if above is not None:
                text = f"clis is above {rival} in {measure}: paired interval above 0"
                yield judged(text, above.verdict == "better", points(above), above.seeds)


def _over_sequences(outcome: Outcome, measure: str, iou: IoU = mean_iou) -> Comparison:
    values = pairs(outcome, measure, iou)
    return compare_methods(values, dict.fromkeys(values, 0.0))


def _level(outcome: Outcome, measure: str) -> str:
    found = _over_sequences(outcome, measure)
    if found.low is None or found.high is None:
        return f"{found.points:.1f}"
    return f"{found.points:.1f} [{found.low:.1f}, {found.high:.1f}]"


def _seconds(outcome: Outcome) -> list[float]:
    tasks: list[Json] = [task for chain in outcome.chains.values() for task in chain["tasks"]]
    return [task["seconds"] for task in tasks]


PROTOCOLS = tuple(
    protocol for name in ("skin", "skin-random", "skin-error", "spine", "phantom") if (protocol := read(name))
)

PAPER = Paper(
    INTRODUCTION,
    PROTOCOLS,
    tables,
    claims,
    notes=(f"the model that begins a sequence is shared by all methods but {', '.join(BEGINNERS)}",),
    read=read,
)

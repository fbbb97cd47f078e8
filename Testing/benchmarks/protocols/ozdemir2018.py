"""Ozdemir 2018: two structures, one head each, one after the other (Cases 1 to 3)."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean

from IncrementalSegLib.engine.settings import PresetName
from IncrementalSegLib.evaluation.intervals import Comparison
from IncrementalSegLib.progress import duration
from Testing.benchmarks.claims import Claim, judged, points, spread
from Testing.benchmarks.paper import Paper
from Testing.benchmarks.plots import efficiency_plot
from Testing.benchmarks.protocol import Data, Protocol, Stage
from Testing.benchmarks.results import Outcome, Results
from Testing.benchmarks.seeds import compare_methods
from Testing.benchmarks.summary import gap, table
from Testing.benchmarks.variants import display_name

INTRODUCTION = """# Ozdemir 2018: learn the new, keep the old

A model learns one structure, then another from other patients in whose scans only that one is outlined. Dice and ASSD
are means over test cases and seeds; the patients of the test never teach. Brackets are 95 % t-intervals
over seeds and cases, given from three seeds on; differences are paired by test case and seed, in points of Dice (0.01).
*Kept* is the share of the old structure's Dice that is left, with the smallest and largest of the seeds. `separate`
trains a network of its own for the new structure: it is the bound, not a rival. `reseg` draws its exemplars at random.
Thin lines in plots are seeds.
"""

METHODS = ("finetune", "lwfseg", "reseg", "aeiseg", "coriseg", "separate")
"""The methods of the paper, the control with random exemplars, and networks of their own as the bound."""

_CURVE = ("lwfseg", "aeiseg", "separate")


def _protocol(
    group: str,
    heading: str,
    data: Data,
    stages: tuple[Stage, Stage],
    case: str,
    title: str,
    methods: tuple[str, ...] = METHODS,
    network: str = "unet2d",
    preset: PresetName = "quick",
) -> Protocol:
    return Protocol(
        f"{group}-{case}", group, heading, title, data, stages, methods, "finetune", network, preset,
        disjoint=True, exemplars=True,
    )  # fmt: skip


def _shoulders(
    group: str, heading: str, preset: PresetName, steps: int, size: tuple[int, int, int] | None = None
) -> list[Protocol]:
    def case(name: str, title: str, scanner: str) -> Protocol:
        stages = Stage(("humerus",), steps, volumes=8), Stage(("scapula",), steps, volumes=8, scanner=scanner)
        return _protocol(group, heading, Data("", 6, 1000, size=size), stages, name, title, preset=preset)

    elsewhere = "Case 3: the second step, and the test of the new structure, on another scanner"
    return [case("case1", "Case 1: same scanner", "A"), case("case3", elsewhere, "C")]


def _spine(case: str, title: str, volumes: int, methods: tuple[str, ...]) -> Protocol:
    stages = Stage(("vertebrae",), 300, volumes=11), Stage(("intervertebral discs",), 300, volumes=volumes)
    return _protocol("spine", "Lumbar spine MR, 2-D", Data("lumbar-spine-mr", 8, 2018), stages, case, title, methods)


PROTOCOLS = (
    *_shoulders("phantom", "Phantom shoulder, 2-D", "quick", 300),
    _spine("case1", "Case 1: 10 volumes in the second step", 10, METHODS),
    _spine("case2", "Case 2: 1 volume in the second step", 1, METHODS),
    _spine("volumes2", "2 volumes in the second step", 2, _CURVE),
    _spine("volumes5", "5 volumes in the second step", 5, _CURVE),
    _protocol(
        "hippocampus",
        "Hippocampus MR, 3-D",
        Data("hippocampus-mr", 30, 2018),
        (Stage(("anterior hippocampus",), 200, volumes=50), Stage(("posterior hippocampus",), 200, volumes=50)),
        "case1",
        "Case 1: other patients",
        ("finetune", "lwfseg", "aeiseg", "separate"),
        network="unet3d",
    ),
    *_shoulders("phantom-paper", "Phantom shoulder at the paper's width, for a GPU", "paper", 1500, (24, 192, 192)),
)
"""Steps are measured: with three seeds everything takes about an hour on two otherwise idle threads of a CPU."""

_COLUMNS = (
    "method", "old before", "old after", "kept", "old − lwfseg", "new", "new − separate", "ASSD old, mm",
    "ASSD new, mm", "seeds", "time",
)  # fmt: skip

_REHEARSAL = ("aeiseg", "coriseg")
_NEW_SHARE = {"lwfseg": 0.95, "aeiseg": 0.90, "coriseg": 0.90}


def tables(results: Results) -> list[str]:
    """Return what became of both structures, by method."""
    return table(_COLUMNS, [_row(outcome, results) for outcome in results.outcomes.values()])


def claims(results: Results) -> Iterator[Claim]:
    """Yield the claims about a case."""
    case, found = results.protocol.name.rpartition("-")[2], results.outcomes
    if "finetune" in found:
        kept = found["finetune"].kept()
        text = "finetune's Dice on the old structure falls below 50 % of its first value"
        yield judged(text, fmean(kept) < 0.5, f"keeps {spread(kept)}", len(kept))
    if case == "case1":
        yield from _same_domain(found)
    if case == "case2" and "lwfseg" in found and "separate" in found:
        new = results.protocol.groups["New"]
        yield _measured("lwfseg against separate on the new structure", found["lwfseg"], found["separate"], new)
    if case == "case3" and "lwfseg" in found:
        yield from _other_contrast(found)
    for method in _REHEARSAL:
        if method in found and "reseg" in found:
            text = f"chosen exemplars ({display_name(method)}) against random ones (reseg) on the old structure"
            yield _measured(text, found[method], found["reseg"], results.protocol.groups["Old"])


def _same_domain(found: dict[str, Outcome]) -> Iterator[Claim]:
    if "lwfseg" in found:
        kept = found["lwfseg"].kept()
        text = "lwfseg keeps at least 95 % of its old Dice on average and at least 90 % with every seed"
        yield judged(text, fmean(kept) >= 0.95 and min(kept) >= 0.9, f"keeps {spread(kept)}", len(kept))
    for method, share in _NEW_SHARE.items():
        if method in found and "separate" in found:
            new = found[method].protocol.groups["New"]
            own, bound = found[method].mean(new), found["separate"].mean(new)
            reached = [own[seed] / bound[seed] for seed in sorted(own.keys() & bound.keys())]
            text = f"{display_name(method)}'s new structure reaches at least {100 * share:.0f} % of separate's Dice"
            yield judged(text, fmean(reached) >= share, spread(reached), len(reached))


def _other_contrast(found: dict[str, Outcome]) -> Iterator[Claim]:
    lwfseg = found["lwfseg"]
    lost = [1 - share for share in lwfseg.kept()]
    text = "the contrast makes lwfseg lose 10 to 60 % of its old Dice on average"
    yield judged(text, 0.1 <= fmean(lost) <= 0.6, spread(lost), len(lost))
    for method in _REHEARSAL:
        change = found[method].against(lwfseg, lwfseg.protocol.groups["Old"]) if method in found else None
        if change is not None:
            seen = change.low is not None and change.low > 0 and change.points >= 5
            text = "keeps more of the old structure than lwfseg: interval above 0, mean at least 5 points"
            text = f"{display_name(method)} {text}"
            yield judged(text, seen, points(change), change.seeds)


def _measured(text: str, one: Outcome, other: Outcome, structures: tuple[str, ...]) -> Claim:
    change = compare_methods(one.pairs(structures), other.pairs(structures))
    return Claim(text, "MEASURED", change.sentence(display_name(one.name), display_name(other.name)))


def _row(outcome: Outcome, results: Results) -> list[str]:
    (old,), (new,) = results.protocol.groups["Old"], results.protocol.groups["New"]
    kept = [100 * share for share in outcome.kept()]
    return [
        display_name(outcome.name),
        _dice(outcome.dice([old], 0)),
        _dice(outcome.dice([old])),
        f"{fmean(kept):.0f} % ({min(kept):.0f}–{max(kept):.0f})",
        gap(outcome.against(results.outcomes.get("lwfseg"), [old])),
        _dice(outcome.dice([new])),
        gap(outcome.against(results.outcomes.get("separate"), [new])),
        _millimetres(outcome.millimetres(old)),
        _millimetres(outcome.millimetres(new)),
        str(len(outcome.chains)),
        duration(outcome.seconds),
    ]


def _dice(found: Comparison) -> str:
    if found.low is None or found.high is None:
        return f"{found.points / 100:.3f}"
    return f"{found.points / 100:.3f} [{found.low / 100:.3f}, {found.high / 100:.3f}]"


def _millimetres(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


PAPER = Paper(
    INTRODUCTION,
    PROTOCOLS,
    tables,
    claims,
    {"-volumes": ("Dice against annotated volumes", efficiency_plot)},
    notes=("no ImageNet weights: the model's own trunk describes content for coriseg",),
)

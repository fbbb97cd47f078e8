"""Chen et al. 2024: one network for scans of several sources and modalities, each annotated in part.

Joint: all sources in one step.  Domain-incremental: the same structures in CT, then in MR.  The sources, the order and
all numbers of steps are our own choice.  Class-incremental steps are those of ``pcdd2026``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from statistics import fmean

from IncrementalSegLib.evaluation.intervals import Comparison
from IncrementalSegLib.progress import duration
from IncrementalSegLib.registry import names
from IncrementalSegLib.sampling.phantom import STRUCTURES
from Testing.benchmarks.claims import Claim, judged, points
from Testing.benchmarks.paper import Paper
from Testing.benchmarks.protocol import Data, Protocol, Source, Stage
from Testing.benchmarks.protocols import pcdd2026
from Testing.benchmarks.results import Results
from Testing.benchmarks.summary import gap, table

INTRODUCTION = """# One network for many sources: the embedding family and its baselines

Dice in per cent, the mean over the structures that occur in a test case, over cases and seeds. The patients of the test
are the same for every seed and never teach. Brackets are 95 % t-intervals over seeds and cases, given from three seeds
on; differences are paired by test case and seed, in points of Dice (0.01).

*Joint*: one step on all sources, each with the labels of its own structures alone. `separate` is a model of its own for
each source with as many steps as all sources have together, scored on the scans of its own kind; `offline` sees all
labels of all scans: bounds, not rivals, both with one head per structure. *Domain-incremental*: the second step teaches
the same structures on scans of another kind, without the old ones; a difference to `finetune` says what is kept.
"""

BASELINES = ("dodnet", "clip-driven", "versatile")
"""The methods that the paper compares itself with."""

OURS = "cfil"

_VALIDATION = "-validation"

_KNOWN = tuple(name for name in (OURS, *BASELINES) if name in names("method"))

CT, MR = Data("abdomen-ct-btcv", 6, 2026), Data("abdomen-mr-chaos", 5, 2026)
SHARED = ("liver", "right kidney", "left kidney", "spleen")
_SOURCES = (
    Source("CT", CT, ("spleen", "right kidney", "left kidney")),
    Source("CT", CT, ("gallbladder", "esophagus", "pancreas")),
    Source("CT", CT, ("liver", "stomach")),
    Source("MR", MR, SHARED),
)

_A, _C = (Data("", 5, seed, 6, (12, 64, 64)) for seed in (6000, 8000))
_PHANTOMS = (
    Source("A", _A, STRUCTURES[:2], "A"),
    Source("A", _A, STRUCTURES[2:4], "A"),
    Source("C", _C, STRUCTURES[:2], "C"),
)


def _joint(group: str, heading: str, sources: Sequence[Source], steps: int) -> Protocol:
    structures = tuple(dict.fromkeys(name for source in sources for name in source.structures))
    return Protocol(
        name=f"{group}-joint",
        group=group,
        heading=heading,
        title="Joint: all sources in one step",
        data=sources[0].data,
        stages=(Stage(structures, steps, sources=tuple(sources)),),
        methods=("offline", "separate", "finetune", *_KNOWN),
        first="",
    )


def _domains(group: str, heading: str, old: Source, new: Source, steps: int) -> Protocol:
    stages = (
        Stage(old.structures, 2 * steps, sources=(old,)),
        Stage(new.structures, steps, sources=(new,), improve=True),
    )
    return Protocol(
        name=f"{group}-domains",
        group=group,
        heading=heading,
        title=f"Domain-incremental: {old.domain}, then {new.domain}",
        data=old.data,
        stages=stages,
        methods=("finetune", "reseg", "replay", *_KNOWN),
        first="",
        exemplars=True,
    )


def _with_scans(domains: Protocol) -> Protocol:
    return replace(
        domains,
        name=f"{domains.name}-unlabelled",
        title=f"{domains.title}, with the scans of the first step without labels",
        methods=_KNOWN,
        exemplars=False,
        unlabelled=True,
    )


_PHANTOM_DOMAINS = _domains("phantom", "Phantom shoulder, 2-D", _PHANTOMS[0], _PHANTOMS[2], 100)
_ABDOMEN_DOMAINS = _domains("abdomen", "Abdomen, 2-D", replace(_SOURCES[0], structures=SHARED), _SOURCES[3], 300)

PROTOCOLS = (
    _joint("phantom", "Phantom shoulder, 2-D", _PHANTOMS, 300),
    _PHANTOM_DOMAINS,
    _with_scans(_PHANTOM_DOMAINS),
    _joint("abdomen", "Abdomen, 2-D", _SOURCES, 1000),
    _ABDOMEN_DOMAINS,
    _with_scans(_ABDOMEN_DOMAINS),
)


def read(name: str) -> Protocol | None:
    """Return a protocol for choosing options: a listed one whose name is followed by ``-validation``."""
    listed = {protocol.name: protocol for protocol in PROTOCOLS}.get(name.removesuffix(_VALIDATION))
    if listed is None or not name.endswith(_VALIDATION):
        return None
    return replace(listed, name=name, title=f"{listed.title}; validation", validation=True)


def tables(results: Results) -> list[str]:
    """Return Dice by method and domain, or old, new and all structures where there is one domain."""
    protocol, everything = results.protocol, results.protocol.structures
    domains = results.domains
    columns = ["method", *(f"{name}, step {number + 1}" for number in range(len(protocol.stages)) for name in domains)]
    rows = []
    for outcome in results.outcomes.values():
        stages = range(len(protocol.stages))
        cells = [_dice(outcome.dice(everything, stage, cases)) for stage in stages for cases in domains.values()]
        against = outcome.against(results.outcomes.get("finetune"), everything)
        rows.append([outcome.name, *cells, gap(against), str(len(outcome.chains)), duration(outcome.seconds)])
    each = [
        (outcome.name, *(_mean(outcome.mean([name]).values()) for name in everything))
        for outcome in results.outcomes.values()
    ]
    return [
        *table((*columns, "all − finetune", "seeds", "time of a stage"), rows),
        *("### Each structure after the last step", ""),
        *table(("method", *everything), each),
    ]


def claims(results: Results) -> Iterator[Claim]:
    """Yield the claims about a protocol."""
    found, protocol = results.outcomes, results.protocol
    if len(protocol.stages) == 1:
        for name in BASELINES:
            above = found[OURS].against(found.get(name), protocol.structures) if OURS in found else None
            if above is not None:
                text = f"{OURS} is above {name}: paired interval above 0"
                yield judged(text, above.verdict == "better", points(above), above.seeds)
        for name in (OURS, *BASELINES):
            apart = found[name].against(found.get("separate"), protocol.structures) if name in found else None
            if apart is not None:
                yield Claim(f"{name} against a model of its own for each source", "MEASURED", points(apart))
    else:
        for name, cases in results.domains.items():
            for method in (item for item in (OURS, *BASELINES, "reseg", "replay") if item in found):
                change = found[method].against(found.get("finetune"), protocol.structures, cases)
                if change is not None:
                    yield Claim(f"{method} against finetune on {name} after both steps", "MEASURED", points(change))
        if protocol.unlabelled and OURS in found:
            old = protocol.stages[0].sources[0].domain
            yield pcdd2026.holds(found[OURS], f" on {old}", results.domains[old])


def _mean(values: Collection[float]) -> str:
    return f"{100 * fmean(values):.1f}" if values else "–"


def _dice(found: Comparison) -> str:
    if found.low is None or found.high is None:
        return f"{found.points:.1f}"
    return f"{found.points:.1f} [{found.low:.1f}, {found.high:.1f}]"


PAPER = Paper(
    INTRODUCTION,
    PROTOCOLS,
    tables,
    claims,
    notes=("text embeddings are the default ones: of WordLlama where it is installed, else of the name's hash",),
    read=read,
)

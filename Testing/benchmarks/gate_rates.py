"""Error rates of the gate: retention sets of a few patients, drawn from many whose scores are known.

The mean drop over all patients of a candidate is taken for the truth.  A *false alarm* is a structure held back that
lost less than 1 point; a *miss* is one that lost more than 3, 5 or 10 points and is not held back.  What lies between
1 and 3 points is neither.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from IncrementalSegLib.evaluation.intervals import FEWEST_CASES, compare, mean_interval
from IncrementalSegLib.evaluation.limits import Limits
from IncrementalSegLib.evaluation.verdicts import Witnesses, by_drop
from IncrementalSegLib.types import Json
from Testing.benchmarks.summary import table

SIZES = (1, 2, 3, 4, 5, 6)
"""Patients in a retention set."""

KINDS: dict[str, Callable[[float], bool]] = {
    "false alarms": lambda drop: drop < 1,
    "misses > 3": lambda drop: drop > 3,
    "misses > 5": lambda drop: drop > 5,
    "misses > 10": lambda drop: drop > 10,
}
"""Kind of error -> which true drops can lead to it."""

DRAWS, DRAWS_WITH_INTERVAL = 1000, 100
"""Retention sets drawn of each structure and size; fewer where each needs a bootstrap."""


Shares = Mapping[int, Sequence[tuple[float, float]]]
"""Size -> of each structure the share of retention sets that hold it back, without witnesses and with them."""


@dataclass(frozen=True)
class Subject:
    """One old structure of one candidate.

    Attributes:
        chain: The model that the candidate goes on from.
        groups: Names of the groups that it counts for.
        patients: Patient -> Dice before and after.
        witnesses: What the gate may ask about it.
    """

    chain: str
    groups: tuple[str, ...]
    patients: Mapping[str, tuple[float, float]]
    witnesses: Witnesses

    @property
    def drop(self) -> float:
        """Mean drop over all patients, in points."""
        return fmean(100 * (old - new) for old, new in self.patients.values())

    def held_back(self, names: Sequence[str], witnesses: Witnesses) -> bool:
        """Return whether the gate would hold the candidate back with these held-out patients."""
        old, new = ({(name, 0): self.patients[name][side] for name in names} for side in (0, 1))
        return by_drop(compare(new, old, np.random.default_rng(0)), Limits(), witnesses)[0] == "harmed"


def subjects(results: Sequence[Json]) -> list[Subject]:
    """Return every old structure of every candidate of the results."""
    found = []
    for result in results:
        chain = f"{result['dataset']}-{result['family']}-{result['seed']}"
        groups = ("all", result["family"], result["dataset"], f"seed {result['seed']}")
        for candidate in result["candidates"]:
            for scores in candidate["structures"].values():
                pairs = {case: (old, new) for case, (old, new) in scores["patients"].items() if old is not None}
                witnesses = Witnesses(_drop(scores["exemplars"]), _drop(scores["agreement"]))
                found.append(Subject(chain, groups, pairs, witnesses))
    return found


def held_back(found: Sequence[Subject], sizes: Sequence[int] = SIZES, draws: int = DRAWS) -> Shares:
    """Draw retention sets and judge each structure by them; at most 100 from five scans on."""
    return {size: [_share_held_back(subject, size, draws) for subject in found] for size in sizes}


def error_rates(found: Sequence[Subject], held: Shares) -> Json:
    """Count the errors of the rule without witnesses and of the one with them.

    Args:
        found: The structures.
        held: How often each was held back.

    Returns:
        Kind of error -> size -> ``subjects``, and for ``alone`` and ``witnesses`` the mean ``rate`` over subjects
        with its 95 % ``interval`` over chains (``None`` with fewer than five).
    """
    rates: Json = {kind: {} for kind in KINDS}
    for kind, applies in KINDS.items():
        rows = [row for row, subject in enumerate(found) if applies(subject.drop)]
        chains = [found[row].chain for row in rows]
        for size, shares in held.items():
            own: Json = {"subjects": len(rows)}
            for column, rule in enumerate(("alone", "witnesses")):
                wrong = [shares[row][column] if kind == "false alarms" else 1 - shares[row][column] for row in rows]
                interval = mean_interval(wrong, np.random.default_rng(0), chains) if wrong else None
                own[rule] = {
                    "rate": fmean(wrong) if wrong else None,
                    "interval": None if interval is None else list(interval),
                }
            rates[kind][str(size)] = own
    return rates


def summarise(results: Sequence[Json], draws: int = DRAWS) -> Json:
    """Return the rates of all chains together, by family, by data set and by seed."""
    found = subjects(results)
    held = held_back(found, draws=draws)
    rates = {}
    for name in sorted({group for item in found for group in item.groups}):
        rows = [row for row, item in enumerate(found) if name in item.groups]
        own = {size: [shares[row] for row in rows] for size, shares in held.items()}
        rates[name] = error_rates([found[row] for row in rows], own)
    return {"chains": sorted({item.chain for item in found}), "rates": rates}


def as_markdown(summary: Json) -> str:
    """Return the rates as Markdown: the rule on the drop alone, then the one with witnesses."""
    sizes = [f"{size} scan{'' if size == 1 else 's'}" for size in SIZES]
    lines = []
    for group, rates in summary["rates"].items():
        rows = [
            (kind, str(rates[kind][str(SIZES[0])]["subjects"]), *(_cell(rates[kind][str(size)]) for size in SIZES))
            for kind in KINDS
        ]
        lines += [f"### {group}", "", *table(("%, drop alone → with witnesses", "structures", *sizes), rows)]
    return "\n".join(lines)


def _cell(own: Json) -> str:
    if own["alone"]["rate"] is None:
        return "–"
    before, after = (f"{100 * own[rule]['rate']:.1f}" for rule in ("alone", "witnesses"))
    return before if before == after else f"{before} → {after}"


def _share_held_back(subject: Subject, size: int, draws: int) -> tuple[float, float]:
    rng, names = np.random.default_rng(size), sorted(subject.patients)
    few = size < FEWEST_CASES
    count = draws if few else min(draws, DRAWS_WITH_INTERVAL)
    alone = together = 0
    for _ in range(count):
        chosen = [names[index] for index in rng.choice(len(names), size, replace=False)]
        held = subject.held_back(chosen, Witnesses())
        alone += held
        together += subject.held_back(chosen, subject.witnesses) if few else held
    return alone / count, together / count


def _drop(pairs: Mapping[str, Sequence[float | None]]) -> float | None:
    drops = [100 * (old - new) for old, new in pairs.values() if old is not None and new is not None]
    return fmean(drops) if drops else None

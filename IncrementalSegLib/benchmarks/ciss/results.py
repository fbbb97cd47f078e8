"""What the finished chains of a protocol found, pooled over cases and seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from IncrementalSegLib.benchmarks.ciss.protocol import Stages
from IncrementalSegLib.benchmarks.ciss.variants import BOUNDS, in_order, method_of
from IncrementalSegLib.benchmarks.comparisons import difference, interval
from IncrementalSegLib.benchmarks.sharing import read_shared
from IncrementalSegLib.evaluation.forgetting import ScoreMatrix
from IncrementalSegLib.evaluation.intervals import Comparison, Pairs
from IncrementalSegLib.types import Json

_CHAIN = ("benchmark", "title", "protocol", "method", "seed", "setting", "matrix", "stages", "environment")


@dataclass(frozen=True)
class Outcome:
    """One method, variant or bound: its chains over the seeds.

    Attributes:
        name: Of the variant.
        stages: What each stage of the protocol teaches.
        chains: Results by seed.
    """

    name: str
    stages: Stages
    chains: dict[int, Json]

    def pairs(self, structures: Sequence[str], stage: int = -1) -> Pairs:
        """Return Dice by case and seed after a stage: the mean over the structures that occur in that case.

        What does not occur counts for neither side of a pair, found or not: else a method that no longer finds
        a structure anywhere would be spared the 0 of the scan that lacks it.
        """
        return {
            (case, seed): value
            for seed, chain in self.chains.items()
            for case, value in _by_case(chain["stages"][stage]["scores"], structures).items()
        }

    def dice(self, structures: Sequence[str]) -> Comparison:
        """Return mean and interval of Dice after the last stage, in points."""
        return interval(self.pairs(structures))

    def against(self, other: Outcome | None, structures: Sequence[str]) -> Comparison | None:
        """Compare after the last stage; ``None`` where there is nothing to compare with."""
        if other is None or other is self or not self.chains.keys() & other.chains.keys():
            return None
        return difference(self.pairs(structures), other.pairs(structures))

    def mean(self, structures: Sequence[str], stage: int = -1) -> dict[int, float]:
        """Return the mean Dice after a stage by seed, 0..1."""
        found: dict[int, list[float]] = {}
        for (_, seed), value in self.pairs(structures, stage).items():
            if value is not None:
                found.setdefault(seed, []).append(value)
        return {seed: fmean(values) for seed, values in found.items()}

    def percent(self, structures: Sequence[str]) -> float:
        """Return the mean Dice after the last stage over all seeds, in per cent."""
        return 100 * fmean(self.mean(structures).values())

    def kept(self, stage: int = -1) -> list[float]:
        """Return the share of the first structures' Dice that is left after a stage, one per seed."""
        first, now = self.mean(self.stages[0], 0), self.mean(self.stages[0], stage)
        return [now[seed] / first[seed] if first[seed] else 0.0 for seed in self.chains]

    @property
    def is_bound(self) -> bool:
        """Whether it is a bound, with whatever options, and not a method."""
        return method_of(self.name) in BOUNDS

    @property
    def forgetting(self) -> list[float]:
        """Mean forgetting in points of Dice, one per seed; empty for a chain of one stage."""
        found = (self._matrix(seed).mean_forgetting() for seed in self.chains)
        return [100 * value for value in found if value is not None]

    @property
    def seconds(self) -> float:
        """Mean duration of a stage after the first, with its scoring; of the only one where there is one."""
        return fmean(
            stage["step"]["seconds"]["total"]
            for chain in self.chains.values()
            for stage in chain["stages"][1:] or chain["stages"]
        )

    def _matrix(self, seed: int) -> ScoreMatrix:
        """Return R[t][k] of a chain; one of one stage has learned everything in it."""
        last = len(self.chains[seed]["stages"]) - 1
        learned = {name: min(number, last) for number, stage in enumerate(self.stages) for name in stage}
        rows = tuple(
            tuple(self.mean([name], stage).get(seed) if stage >= first else None for name, first in learned.items())
            for stage in range(last + 1)
        )
        return ScoreMatrix(tuple(learned), tuple(learned.values()), rows)


@dataclass(frozen=True)
class Results:
    """All finished chains of a protocol.

    Attributes:
        folder: Where they lie.
        title: Of the data set.
        setting: What they have in common.
        outcomes: By name, in the order of the tables.
    """

    folder: Path
    title: str
    setting: Json
    outcomes: dict[str, Outcome]

    @property
    def stages(self) -> Stages:
        """What each stage teaches."""
        return tuple(tuple(stage) for stage in self.setting["stages"])

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """The paper's groups: the structures of the first stage, of all later ones, and all."""
        old, *later = self.stages
        new = tuple(name for stage in later for name in stage)
        return {"Old": old, "New": new, "All": (*old, *new)}

    @property
    def methods(self) -> list[Outcome]:
        """The outcomes that are no bounds."""
        return [outcome for outcome in self.outcomes.values() if not outcome.is_bound]


def read_chain(file: Path) -> Json:
    """Return what a finished chain has written.

    Raises:
        ModelError: It is damaged.
    """
    return read_shared(file, _CHAIN, file)


def read_results(out: Path) -> list[Results]:
    """Return the results of every protocol in a folder, sorted by name.

    Raises:
        ModelError: A result is damaged.
    """
    found: dict[Path, dict[str, dict[int, Json]]] = {}
    for file in sorted(out.glob("[!.]*/*-seed*.json")):
        if read_shared(file, (), file).get("benchmark") == "ciss":
            chain = read_chain(file)
            found.setdefault(file.parent, {}).setdefault(chain["method"], {})[chain["seed"]] = chain
    return [_results(folder, chains) for folder, chains in found.items()]


def _results(folder: Path, found: dict[str, dict[int, Json]]) -> Results:
    first = next(iter(next(iter(found.values())).values()))
    stages: Stages = tuple(tuple(stage) for stage in first["setting"]["stages"])
    outcomes = {name: Outcome(name, stages, dict(sorted(found[name].items()))) for name in in_order(list(found))}
    return Results(folder, first["title"], first["setting"], outcomes)


def _by_case(scores: Json, structures: Sequence[str]) -> dict[str, float | None]:
    cases: dict[str, list[float]] = {}
    for name in structures:
        for entry in scores[name]["per_case"]:
            found = cases.setdefault(entry["case"], [])
            if entry["voxels_truth"]:
                found.append(entry["dice"])
    return {case: fmean(values) if values else None for case, values in cases.items()}

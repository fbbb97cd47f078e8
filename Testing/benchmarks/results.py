"""Results of the finished chains of a protocol, pooled over cases and seeds."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from statistics import fmean

from IncrementalSegLib.evaluation.forgetting import ScoreMatrix
from IncrementalSegLib.evaluation.intervals import Comparison, Pairs
from IncrementalSegLib.types import Json
from Testing.benchmarks.protocol import Protocol
from Testing.benchmarks.seeds import compare_methods
from Testing.benchmarks.variants import in_order


@dataclass(frozen=True)
class Outcome:
    """One method, variant or bound: its chains over the seeds.

    Attributes:
        name: Of the variant.
        protocol: The protocol.
        chains: Results by seed.
    """

    name: str
    protocol: Protocol
    chains: dict[int, Json]

    def pairs(self, structures: Sequence[str], stage: int = -1, cases: Collection[str] | None = None) -> Pairs:
        """Return Dice by case and seed after a stage: the mean over the structures that occur in the case.

        With ``cases`` only these are taken.

        Structures that do not occur are left out whether they are found or not. Otherwise a method that finds a
        structure nowhere would gain in scans without it.
        """
        return {
            (case, seed): value
            for seed, chain in self.chains.items()
            for case, value in _by_case(chain["stages"][stage]["scores"], structures).items()
            if cases is None or case in cases
        }

    def dice(self, structures: Sequence[str], stage: int = -1, cases: Collection[str] | None = None) -> Comparison:
        """Return mean and interval of Dice after a stage, in points."""
        found = self.pairs(structures, stage, cases)
        return compare_methods(found, dict.fromkeys(found, 0.0))

    def against(
        self, other: Outcome | None, structures: Sequence[str], cases: Collection[str] | None = None
    ) -> Comparison | None:
        """Compare after the last stage; ``None`` without a seed in common."""
        if other is None or other is self or not self.chains.keys() & other.chains.keys():
            return None
        return compare_methods(self.pairs(structures, cases=cases), other.pairs(structures, cases=cases))

    def mean(
        self, structures: Sequence[str], stage: int = -1, cases: Collection[str] | None = None
    ) -> dict[int, float]:
        """Return the mean Dice after a stage by seed, 0..1; with ``cases`` of these alone."""
        found: dict[int, list[float]] = {}
        for (_, seed), value in self.pairs(structures, stage, cases).items():
            if value is not None:
                found.setdefault(seed, []).append(value)
        return {seed: fmean(values) for seed, values in found.items()}

    def kept(self, stage: int = -1, cases: Collection[str] | None = None) -> list[float]:
        """Return the share of the first structures' Dice that is left after a stage, by seed; ``cases`` as for mean."""
        old = self.protocol.stages[0].structures
        first, now = self.mean(old, 0, cases), self.mean(old, stage, cases)
        return [now[seed] / first[seed] if first[seed] else 0.0 for seed in self.chains]

    def millimetres(self, structure: str) -> float | None:
        """Return the mean ASSD of a structure after the last stage over the seeds that have one."""
        found = (chain["stages"][-1]["scores"][structure]["assd_mm"] for chain in self.chains.values())
        defined = [value for value in found if value is not None]
        return fmean(defined) if defined else None

    @property
    def forgetting(self) -> list[float]:
        """Mean forgetting in points of Dice, one per seed; empty for a chain of one stage."""
        found = (self._matrix(seed).mean_forgetting() for seed in self.chains)
        return [100 * value for value in found if value is not None]

    @property
    def seconds(self) -> float:
        """Mean duration of a later stage with its scoring; of the only stage of ``offline``."""
        return fmean(
            stage["step"]["seconds"]["total"]
            for chain in self.chains.values()
            for stage in chain["stages"][1:] or chain["stages"]
        )

    def _matrix(self, seed: int) -> ScoreMatrix:
        """Return R[t][k] of a chain; ``offline`` learns all structures in its only stage."""
        last = len(self.chains[seed]["stages"]) - 1
        stages = enumerate(self.protocol.stages)
        learned: dict[str, int] = {}
        for number, stage in stages:
            for name in stage.structures:
                learned.setdefault(name, min(number, last))
        rows = tuple(
            tuple(self.mean([name], stage).get(seed) if stage >= first else None for name, first in learned.items())
            for stage in range(last + 1)
        )
        return ScoreMatrix(tuple(learned), tuple(learned.values()), rows)


@dataclass(frozen=True)
class Results:
    """All finished chains of a protocol.

    Attributes:
        protocol: The protocol.
        outcomes: By name, in the order of the tables.
    """

    protocol: Protocol
    outcomes: dict[str, Outcome]

    @classmethod
    def of(cls, protocol: Protocol, chains: Sequence[Json]) -> Results:
        """Sort the chains of a protocol by method and seed."""
        found: dict[str, dict[int, Json]] = {}
        for chain in sorted(chains, key=lambda chain: int(chain["seed"])):
            found.setdefault(chain["method"], {})[chain["seed"]] = chain
        names = in_order(found, protocol.methods)
        return cls(protocol, {name: Outcome(name, protocol, found[name]) for name in names})

    @property
    def domains(self) -> dict[str, list[str]]:
        """Names of the test cases of each domain, where the stages have sources."""
        found: dict[str, list[str]] = self.chains[0]["setting"]["domains"]
        return found

    @property
    def chains(self) -> list[Json]:
        """All chains."""
        return [chain for outcome in self.outcomes.values() for chain in outcome.chains.values()]


def _by_case(scores: Json, structures: Sequence[str]) -> dict[str, float | None]:
    cases: dict[str, list[float]] = {}
    for name in structures:
        for entry in scores[name]["per_case"]:
            found = cases.setdefault(entry["case"], [])
            if entry["voxels_truth"]:
                found.append(entry["dice"])
    return {case: fmean(values) if values else None for case, values in cases.items()}

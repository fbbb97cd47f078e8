"""What the finished chains found, pooled over cases and seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from IncrementalSegLib.benchmarks.comparisons import difference, interval
from IncrementalSegLib.benchmarks.ozdemir.protocols import METHODS, Chain, Protocol, Scenario
from IncrementalSegLib.evaluation.intervals import Pairs
from IncrementalSegLib.evaluation.metrics import StructureScore
from IncrementalSegLib.files import read_json
from IncrementalSegLib.reports.changes import Change
from IncrementalSegLib.types import Json


@dataclass(frozen=True)
class Outcome:
    """One method in one scenario: its chains over the seeds.

    Attributes:
        protocol: The protocol.
        scenario: The second step.
        method: The method.
        chains: Results by seed.
    """

    protocol: Protocol
    scenario: Scenario
    method: str
    chains: dict[int, Json]

    def dice(self, side: str, structure: str) -> Pairs:
        """Return Dice by case and seed; ``side`` is ``before`` or ``after``."""
        return {
            (entry["case"], seed): entry["dice"]
            for seed, chain in self.chains.items()
            for entry in chain[side][structure]["per_case"]
        }

    @property
    def old_before(self) -> Pairs:
        """Dice of the old structure before the second step."""
        return self.dice("before", self.protocol.old)

    @property
    def old_after(self) -> Pairs:
        """Dice of the old structure after the second step."""
        return self.dice("after", self.protocol.old)

    @property
    def new_after(self) -> Pairs:
        """Dice of the new structure."""
        return self.dice("after", self.protocol.new)

    @property
    def kept(self) -> list[float]:
        """Share of the old structure's Dice that is left, one per seed."""
        return [
            chain["after"][self.protocol.old]["dice"] / chain["before"][self.protocol.old]["dice"]
            for chain in self.chains.values()
        ]

    @property
    def seconds(self) -> float:
        """Mean duration of the second step with its scoring."""
        return fmean(chain["second_step"]["seconds"]["total"] for chain in self.chains.values())

    def score(self, side: str, structure: str) -> StructureScore:
        """Pool one structure over cases and seeds."""
        found = [chain[side][structure] for chain in self.chains.values()]
        spread = interval(self.dice(side, structure))
        ends = None if spread.low is None or spread.high is None else (spread.low / 100, spread.high / 100)
        return StructureScore(
            scores=(),
            dice=spread.points / 100,
            dice_ci=ends,
            assd_mm=_mean([entry["assd_mm"] for entry in found]),
            hd95_mm=_mean([entry["hd95_mm"] for entry in found]),
        )

    def changes(self) -> tuple[Change, Change]:
        """Return what became of the old structure, and the new one, for the chart."""
        protocol, title = self.protocol, self.scenario.title.partition(":")[0]
        change = difference(self.old_after, self.old_before)
        before, after = self.score("before", protocol.old), self.score("after", protocol.old)
        taught = self.score("after", protocol.new)
        return (
            Change(f"{title}: {protocol.old}", self.method, before, after, change),
            Change(f"{title}: {protocol.new}, new", self.method, None, taught),
        )


class Results:
    """All finished chains of a folder.

    Args:
        out: The folder.
        protocols: The protocols to look for.
    """

    def __init__(self, out: Path, protocols: Sequence[Protocol]) -> None:
        self.out = out
        self.outcomes: dict[tuple[str, str, str], Outcome] = {}
        for protocol in protocols:
            for scenario in protocol.scenarios:
                for method in scenario.methods:
                    found = self._read(protocol, scenario, method)
                    if found:
                        self.outcomes[protocol.name, scenario.name, method] = Outcome(protocol, scenario, method, found)

    def get(self, protocol: str, scenario: str, method: str) -> Outcome | None:
        """Return an outcome, or ``None`` where no chain has finished."""
        return self.outcomes.get((protocol, scenario, method))

    def of(self, protocol: Protocol, scenario: Scenario) -> list[Outcome]:
        """Return the outcomes of a scenario in the order of the methods."""
        found = (self.get(protocol.name, scenario.name, method) for method in METHODS)
        return [outcome for outcome in found if outcome is not None]

    def _read(self, protocol: Protocol, scenario: Scenario, method: str) -> dict[int, Json]:
        chain = Chain(protocol, scenario, method, 0)
        files = (self.out / protocol.name).glob(f"{chain.name.removesuffix('0')}*.json")
        chains = {item["seed"]: item for item in map(read_json, files)}
        return dict(sorted(chains.items()))


def _mean(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return fmean(defined) if defined else None

"""What the papers lead one to expect, checked one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import fmean

from IncrementalSegLib.benchmarks.comparisons import difference
from IncrementalSegLib.benchmarks.expectations import Statement, spread, verdict
from IncrementalSegLib.benchmarks.ozdemir.protocols import Protocol, Scenario
from IncrementalSegLib.benchmarks.ozdemir.results import Outcome, Results
from IncrementalSegLib.benchmarks.tables import points

Found = Mapping[str, Outcome]

_REHEARSAL = ("aeiseg", "coriseg")
_NEW_SHARE = {"lwfseg": 0.95, "aeiseg": 0.90, "coriseg": 0.90}


def check(results: Results, protocol: Protocol) -> list[Statement]:
    """Check every statement for which the methods have been run."""
    found: list[Statement] = []
    for scenario in protocol.scenarios:
        outcomes = {outcome.method: outcome for outcome in results.of(protocol, scenario)}
        found += _forgetting(scenario, outcomes)
        if scenario.name == "case1":
            found += _same_domain(scenario, outcomes)
        if scenario.name == "case2":
            found += _few_annotations(scenario, outcomes)
        if scenario.name == "case3":
            found += _other_contrast(scenario, outcomes)
        found += _chosen_or_random(scenario, outcomes)
    return found


def _forgetting(scenario: Scenario, found: Found) -> Iterator[Statement]:
    if "finetune" in found:
        kept = found["finetune"].kept
        claim = "finetune's Dice on the old structure falls below 50 % of its first value"
        yield Statement(scenario.title, claim, verdict(fmean(kept) < 0.5), _kept(kept))


def _same_domain(scenario: Scenario, found: Found) -> Iterator[Statement]:
    if "lwfseg" in found:
        kept = found["lwfseg"].kept
        claim = "lwfseg keeps at least 95 % of its old Dice on average and at least 90 % with every seed"
        yield Statement(scenario.title, claim, verdict(fmean(kept) >= 0.95 and min(kept) >= 0.9), _kept(kept))
    for method, share in _NEW_SHARE.items():
        if method in found and "separate" in found:
            reached = _shares(found[method], found["separate"])
            claim = f"{method}'s new structure reaches at least {share:.0%} of separate's Dice".replace("%", " %")
            yield Statement(scenario.title, claim, verdict(fmean(reached) >= share), spread(reached))


def _few_annotations(scenario: Scenario, found: Found) -> Iterator[Statement]:
    if "lwfseg" in found and "separate" in found:
        gap = difference(found["lwfseg"].new_after, found["separate"].new_after)
        claim = "lwfseg against separate on the new structure"
        yield Statement(scenario.title, claim, "MEASURED", gap.sentence("lwfseg", "separate"))


def _other_contrast(scenario: Scenario, found: Found) -> Iterator[Statement]:
    if "lwfseg" not in found:
        return
    lost = [1 - share for share in found["lwfseg"].kept]
    claim = "the contrast makes lwfseg lose 10 to 60 % of its old Dice on average"
    yield Statement(scenario.title, claim, verdict(0.1 <= fmean(lost) <= 0.6), spread(lost))
    for method in _REHEARSAL:
        if method in found:
            gap = difference(found[method].old_after, found["lwfseg"].old_after)
            seen = gap.low is not None and gap.low > 0 and gap.points >= 5
            claim = f"{method} keeps more of the old structure than lwfseg: interval above 0, mean at least 5 points"
            yield Statement(scenario.title, claim, verdict(seen), points(gap))


def _chosen_or_random(scenario: Scenario, found: Found) -> Iterator[Statement]:
    for method in _REHEARSAL:
        if method in found and "reseg" in found:
            gap = difference(found[method].old_after, found["reseg"].old_after)
            claim = f"chosen exemplars ({method}) against random ones (reseg) on the old structure"
            yield Statement(scenario.title, claim, "MEASURED", gap.sentence(method, "reseg"))


def _shares(a: Outcome, b: Outcome) -> list[float]:
    """Return a's Dice on the new structure as a share of b's, one per seed that both have."""
    new = a.protocol.new
    return [
        a.chains[seed]["after"][new]["dice"] / b.chains[seed]["after"][new]["dice"]
        for seed in sorted(a.chains.keys() & b.chains.keys())
    ]


def _kept(shares: list[float]) -> str:
    return f"keeps {spread(shares)}"

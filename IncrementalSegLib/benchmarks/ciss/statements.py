"""What the papers lead one to expect of the methods, checked one by one."""

from __future__ import annotations

from collections.abc import Iterator

from IncrementalSegLib.benchmarks.ciss.results import Results
from IncrementalSegLib.benchmarks.expectations import Statement, spread, verdict
from IncrementalSegLib.benchmarks.tables import points

LOSE = ("finetune-softmax", "lwf")
HOLD = ("mib", "sdr", "pcdd")
_HELD = 0.8  # our own choice: the papers show a picture of holding, and give no bar

_LEARNED = 0.1  # Dice


def check(results: Results) -> list[Statement]:
    """Check every statement for which the methods have been run."""
    return [*_kept(results), *_not_below(results), *_to_offline(results)]


def _kept(results: Results) -> Iterator[Statement]:
    last = len(results.stages) - 1
    for name in LOSE:
        if name in results.outcomes and last >= 2:
            kept = results.outcomes[name].kept(2)
            claim = (
                f"{name} loses the old structures: after the second increment less than 50 % of their first Dice "
                "is left, with every seed"
            )
            yield _statement(results, name, claim, max(kept) < 0.5, kept)
    for name in HOLD:
        if name in results.outcomes:
            kept = results.outcomes[name].kept()
            claim = (
                f"{name} holds the old structures: after the last stage at least {100 * _HELD:.0f} % of their first "
                "Dice is left, with every seed"
            )
            yield _statement(results, name, claim, min(kept) >= _HELD, kept)


def _statement(results: Results, name: str, claim: str, seen: bool, kept: list[float]) -> Statement:
    """Judge what became of the first structures; what was never learned cannot be kept or lost."""
    first = min(results.outcomes[name].mean(results.stages[0], 0).values())
    if first < _LEARNED:
        figures = f"not learned: their first Dice is {100 * first:.1f} %"
        return Statement(results.folder.name, claim, "NOT SEEN", figures)
    return Statement(results.folder.name, claim, verdict(seen), f"keeps {spread(kept)}")


def _not_below(results: Results) -> Iterator[Statement]:
    ours = results.outcomes.get("pcdd")
    gap = ours.against(results.outcomes.get("mib"), results.groups["All"]) if ours is not None else None
    if gap is not None:
        claim = "pcdd is not more than 2 points below mib on all structures: lower end of the paired interval"
        yield Statement(results.folder.name, claim, verdict(gap.not_below), points(gap))


def _to_offline(results: Results) -> Iterator[Statement]:
    for outcome in results.methods:
        gap = outcome.against(results.outcomes.get("offline"), results.groups["All"])
        if gap is not None and outcome.name in HOLD:
            claim = f"distance of {outcome.name} to offline on all structures"
            yield Statement(results.folder.name, claim, "MEASURED", points(gap))

"""The tables and plots of a benchmark, from whatever chains have finished.

OUT/summary.md      one table per scenario, the statements, what everything was made with
OUT/summary.json    the same numbers
OUT/PROTOCOL.png    Dice before and after
OUT/PROTOCOL-volumes.png    Dice against annotated volumes
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from IncrementalSegLib.benchmarks.comparisons import difference
from IncrementalSegLib.benchmarks.ozdemir.plots import change_picture, efficiency_picture
from IncrementalSegLib.benchmarks.ozdemir.protocols import PROTOCOLS, Protocol
from IncrementalSegLib.benchmarks.ozdemir.results import Outcome, Results
from IncrementalSegLib.benchmarks.ozdemir.statements import check
from IncrementalSegLib.benchmarks.tables import listed, points, table
from IncrementalSegLib.engine.progress import duration
from IncrementalSegLib.evaluation.metrics import StructureScore
from IncrementalSegLib.files import write_bytes, write_json
from IncrementalSegLib.types import Json

_INTRODUCTION = """# Ozdemir 2018: learn the new, keep the old

A model learns one structure, then another from other patients in whose scans only that one is outlined. Dice and ASSD
are means over test cases and seeds; the patients of the test never teach. Brackets are 95 % intervals by bootstrap over
cases within seeds and over seeds; differences are paired by test case and seed, in points of Dice (0.01). *Kept* is the
share of the old structure's Dice that is left, with the smallest and largest of the seeds. `separate` trains a network
of its own for the new structure: it is the bound, not a rival. `reseg` draws its exemplars at random.
"""

_COLUMNS = (
    "method",
    "old before",
    "old after",
    "kept",
    "old − lwfseg",
    "new",
    "new − separate",
    "ASSD old, mm",
    "ASSD new, mm",
    "seeds",
    "time",
)


def write_summary(out: str | Path) -> Path:
    """Write tables and plots from the finished chains of a folder.

    Args:
        out: The folder of the benchmark.

    Returns:
        The file with the tables.

    Raises:
        ModelError: A result is damaged, or the folder cannot be written.
        IncrementalSegError: matplotlib is not installed.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    results = Results(out, PROTOCOLS)
    text, numbers = [_INTRODUCTION], {}
    for protocol in PROTOCOLS:
        if any(results.of(protocol, scenario) for scenario in protocol.scenarios):
            text.append(_family(results, protocol, out))
            numbers[protocol.name] = _numbers(results, protocol)
    text.append(_circumstances(list(results.outcomes.values())))
    write_json(out / "summary.json", numbers)
    write_bytes(out / "summary.md", "\n".join(text).encode())
    return out / "summary.md"


def _family(results: Results, protocol: Protocol, out: Path) -> str:
    first, second = protocol.steps
    setting = (
        f"{protocol.old}, then {protocol.new}; {protocol.network}, preset {protocol.preset}, {first} and {second} "
        f"optimiser steps; {protocol.first_volumes} volumes in the first step, {protocol.test_volumes} to test."
    )
    lines = [f"## {protocol.title}", "", setting, ""]
    for scenario in protocol.scenarios:
        outcomes = results.of(protocol, scenario)
        if outcomes:
            lines += [f"### {scenario.title}", "", *table(_COLUMNS, [_row(one, results) for one in outcomes]), ""]
    statements = check(results, protocol)
    if statements:
        rows = [(item.scenario.partition(":")[0], item.claim, item.verdict, item.figures) for item in statements]
        lines += ["### What was expected", "", *table(("where", "expected", "verdict", "measured"), rows), ""]
    for name, title, picture in (
        (protocol.name, "Dice before and after", change_picture(results, protocol)),
        (f"{protocol.name}-volumes", "Dice against annotated volumes", efficiency_picture(results, protocol)),
    ):
        if picture is not None:
            write_bytes(out / f"{name}.png", picture)
            lines += [f"![{protocol.title}: {title}]({name}.png)", ""]
    return "\n".join(lines)


def _row(outcome: Outcome, results: Results) -> list[str]:
    protocol, scenario = outcome.protocol, outcome.scenario
    before, after = outcome.score("before", protocol.old), outcome.score("after", protocol.old)
    new, kept = outcome.score("after", protocol.new), [100 * share for share in outcome.kept]
    return [
        outcome.method,
        _dice(before),
        _dice(after),
        f"{fmean(kept):.0f} % ({min(kept):.0f}–{max(kept):.0f})",
        _against(outcome, results.get(protocol.name, scenario.name, "lwfseg"), protocol.old),
        _dice(new),
        _against(outcome, results.get(protocol.name, scenario.name, "separate"), protocol.new),
        _millimetres(after),
        _millimetres(new),
        str(len(outcome.chains)),
        duration(outcome.seconds),
    ]


def _against(outcome: Outcome, other: Outcome | None, structure: str) -> str:
    if other is None or other is outcome or not outcome.chains.keys() & other.chains.keys():
        return "–"
    gap = difference(outcome.dice("after", structure), other.dice("after", structure))
    return points(gap).replace(" points", "")


def _dice(score: StructureScore) -> str:
    if score.dice is None or score.dice_ci is None:
        return "–" if score.dice is None else f"{score.dice:.3f}"
    return f"{score.dice:.3f} [{score.dice_ci[0]:.3f}, {score.dice_ci[1]:.3f}]"


def _millimetres(score: StructureScore) -> str:
    return "–" if score.assd_mm is None else f"{score.assd_mm:.2f}"


def _numbers(results: Results, protocol: Protocol) -> Json:
    return {
        "scenarios": {
            scenario.name: {outcome.method: _outcome(outcome) for outcome in results.of(protocol, scenario)}
            for scenario in protocol.scenarios
        },
        "statements": [statement.to_json() for statement in check(results, protocol)],
    }


def _outcome(outcome: Outcome) -> Json:
    old, new = outcome.protocol.old, outcome.protocol.new
    sides = {
        "old_before": outcome.score("before", old),
        "old_after": outcome.score("after", old),
        "new": outcome.score("after", new),
    }
    return {
        "seeds": list(outcome.chains),
        "kept": outcome.kept,
        "seconds": outcome.seconds,
        **{name: _score(score) for name, score in sides.items()},
    }


def _score(score: StructureScore) -> Json:
    ends = None if score.dice_ci is None else list(score.dice_ci)
    return {"dice": score.dice, "dice_ci": ends, "assd_mm": score.assd_mm, "hd95_mm": score.hd95_mm}


def _circumstances(outcomes: Sequence[Outcome]) -> str:
    """Say on what, with what and for how long everything was made."""
    chains = [chain for outcome in outcomes for chain in outcome.chains.values()]
    if not chains:
        return "No chain has finished.\n"
    made = [chain["environment"] for chain in chains]
    first = {(chain["protocol"], chain["seed"]): chain["first_step"]["seconds"]["total"] for chain in chains}
    total = sum(first.values()) + sum(chain["second_step"]["seconds"]["total"] for chain in chains)
    work = f"{len(chains)} chains and {len(first)} first steps, {duration(total)} of computing in all"
    machine = (listed(one[name] for one in made) for name in ("processor", "device", "precision"))
    lines = [
        f"{work}; the last ended at {max(one['finished'] for one in made)}",
        f"{'; '.join(machine)}; torch {listed(one['libraries']['torch'] for one in made)}",
        f"commit {listed(one['commit'] or 'unknown' for one in made)}",
        "no ImageNet weights: the model's own trunk describes content for coriseg",
    ]
    return "\n".join(("## Made with", "", *(f"- {line}" for line in lines), ""))

"""The tables and pictures of the protocols, from whatever chains have finished.

OUT/summary.md      tables, statements and pictures, one part per protocol, and what everything was made with
OUT/summary.json    the same numbers
OUT/PROTOCOL-curves.png    Dice of each stage's structures over the stages
OUT/PROTOCOL-slices.png    one test scan
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean

from IncrementalSegLib.benchmarks.ciss.plots import curve_picture, slice_picture
from IncrementalSegLib.benchmarks.ciss.results import Outcome, Results, read_results
from IncrementalSegLib.benchmarks.ciss.statements import check
from IncrementalSegLib.benchmarks.tables import listed, points, table
from IncrementalSegLib.engine.progress import duration
from IncrementalSegLib.evaluation.intervals import Comparison
from IncrementalSegLib.files import write_bytes, write_json
from IncrementalSegLib.types import Json

_INTRODUCTION = """# One softmax that grows: PCDD and what it is compared with

The protocol N1-N2 teaches N1 structures, then N2 more in each stage; the labels of earlier stages are hidden. *Old*
are the structures of the first stage, *New* those of all later ones, as after the last stage. Dice in per cent, the
mean over the structures that occur in a test case, over cases and seeds; what is found where it does not occur is not
counted. The patients of the test are the same for every seed and never teach.
Brackets are 95 % intervals by bootstrap over cases within seeds and over seeds; differences are paired by test case
and seed, in points of Dice (0.01). *Forgetting* is what a structure has lost since it was known best, the mean over
structures and, in parentheses, the least and most of the seeds. `offline` is taught everything at once with all
labels and the steps of all stages, `separate` is a model of its own for each stage: bounds, not rivals.
`METHOD+OPTION=VALUE` is a method with other options than its own.

*better* and *worse*: the interval of the difference excludes 0; *not below*: it includes 0 and begins above −2 points;
*not distinguishable*: anything else. With one seed an interval knows of the cases alone. A fifth of the volumes that
teach choose a stage's best weights, by its own structures; a stage in which these gain nothing ends early. Curves: thin
lines are seeds, `offline` has none. Slices: the largest of each stage's first structure in one test scan, with its Dice
in the whole scan, by the methods with the highest and the lowest *All* with seed 0.
"""


def write_summary(out: str | Path) -> Path:
    """Write tables and pictures from the finished chains of a folder.

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
    found = read_results(out)
    text = [_INTRODUCTION, *(_part(results) for results in found), _circumstances(found)]
    write_json(out / "summary.json", {results.folder.name: _numbers(results) for results in found})
    write_bytes(out / "summary.md", "\n".join(text).encode())
    return out / "summary.md"


def _part(results: Results) -> str:
    setting, outcomes, name = results.setting, list(results.outcomes.values()), results.folder.name
    taught = "; ".join(", ".join(stage) for stage in results.stages)
    volumes = f"{len(setting['teaching'])} volumes teach ({setting['cases']}), {len(setting['test'])} test."
    lines = [
        f"## {results.title}, {name}",
        "",
        f"Stages: {taught}.",
        "",
        f"{setting['network']}, preset {setting['preset']}, {setting['steps']} optimiser steps a stage; " + volumes,
        "",
        *table(_COLUMNS, [_row(outcome, results) for outcome in outcomes]),
        "",
    ]
    rows = [row for outcome in outcomes if (row := _against_mib(outcome, results))]
    if rows:
        lines += ["### Against mib", "", *table(("method", *results.groups, "on all"), rows), ""]
    names = results.groups["All"]
    each = [(outcome.name, *(_number(outcome.percent([item])) for item in names)) for outcome in outcomes]
    lines += ["### Each structure after the last stage", "", *table(("method", *names), each), ""]
    expected = [(item.claim, item.verdict, item.figures) for item in check(results)]
    if expected:
        lines += ["### What was expected", "", *table(("expected", "verdict", "measured"), expected), ""]
    for kind, title, picture in (
        ("curves", "Dice of each stage's structures over the stages", curve_picture(results)),
        ("slices", "one test scan", slice_picture(results)),
    ):
        if picture is not None:
            write_bytes(results.folder.with_name(f"{name}-{kind}.png"), picture)
            lines += [f"![{name}: {title}]({name}-{kind}.png)", ""]
    return "\n".join(lines)


_COLUMNS = ("method", "Old", "New", "All", "All − offline", "forgetting", "seeds", "time of a stage")


def _row(outcome: Outcome, results: Results) -> list[str]:
    lost = outcome.forgetting
    return [
        outcome.name,
        *(_dice(outcome.dice(structures)) for structures in results.groups.values()),
        _gap(outcome.against(results.outcomes.get("offline"), results.groups["All"])),
        f"{_number(fmean(lost))} ({_number(min(lost))} to {_number(max(lost))})" if lost else "–",
        str(len(outcome.chains)),
        duration(outcome.seconds),
    ]


def _against_mib(outcome: Outcome, results: Results) -> list[str]:
    """Return a row of differences and the verdict; empty for mib, for bounds, and without mib."""
    if outcome.is_bound:
        return []
    gaps = [outcome.against(results.outcomes.get("mib"), structures) for structures in results.groups.values()]
    everything = gaps[-1]
    return [outcome.name, *map(_gap, gaps), everything.verdict] if everything is not None else []


def _dice(found: Comparison) -> str:
    if found.low is None or found.high is None:
        return _number(found.points)
    return f"{_number(found.points)} [{_number(found.low)}, {_number(found.high)}]"


def _gap(found: Comparison | None) -> str:
    return "–" if found is None else points(found).replace(" points", "")


def _number(value: float) -> str:
    return f"{round(value, 1) + 0.0:.1f}".replace("-", "−")  # no −0.0


def _numbers(results: Results) -> Json:
    groups = results.groups
    return {
        "setting": results.setting,
        "methods": {name: _outcome(outcome, results) for name, outcome in results.outcomes.items()},
        "statements": [statement.to_json() for statement in check(results)],
        "groups": {name: list(structures) for name, structures in groups.items()},
    }


def _outcome(outcome: Outcome, results: Results) -> Json:
    mib = {name: outcome.against(results.outcomes.get("mib"), group) for name, group in results.groups.items()}
    offline = outcome.against(results.outcomes.get("offline"), results.groups["All"])
    return {
        "seeds": list(outcome.chains),
        "dice": {name: _ends(outcome.dice(group)) for name, group in results.groups.items()},
        "against_mib": {name: gap.to_json() for name, gap in mib.items() if gap is not None},
        "against_offline": None if offline is None else offline.to_json(),
        "kept": outcome.kept(),
        "forgetting": outcome.forgetting,
        "seconds": outcome.seconds,
    }


def _ends(found: Comparison) -> Json:
    return {"points": found.points, "low": found.low, "high": found.high}


def _circumstances(found: Sequence[Results]) -> str:
    """Say on what and with what everything was made, and which of it is not what the papers do."""
    made = list(_environments(found))
    if not made:
        return "No chain has finished.\n"
    machine = (listed(one[name] for one in made) for name in ("processor", "device", "precision"))
    lines = [
        f"{len(made)} chains; the last ended at {max(one['finished'] for one in made)}",
        f"{'; '.join(machine)}; torch {listed(one['libraries']['torch'] for one in made)}",
        f"commit {listed(one['commit'] or 'unknown' for one in made)}",
        "soft Dice on a stage's structures beside every method's cross-entropy: our own choice, off by `+dice=false`",
        "the first stage of a seed is trained once and shared by all methods",
    ]
    return "\n".join(("## Made with", "", *(f"- {line}" for line in lines), ""))


def _environments(found: Sequence[Results]) -> Iterator[Json]:
    for results in found:
        for outcome in results.outcomes.values():
            for chain in outcome.chains.values():
                yield chain["environment"]

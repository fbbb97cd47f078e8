"""False alarms of the gate on phantoms: ``python -m Testing.benchmarks.false_alarm OUT``.

A model learns two structures of phantoms.  Each candidate is that version taught on with the same method, the same
scans and another seed.  Between two candidates nothing differs but the seed, so whatever the gate holds back with one
in use and the other as candidate is a false alarm.  A comparison with the first version would be optimistic, because
the candidates have been trained for longer.  The scores also tell what the gate says with fewer scans.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import permutations
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from IncrementalSegLib.cli.output import Device, print_table, progress_bar
from IncrementalSegLib.engine.compare.retention import gate
from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.evaluation.retention import RetentionReport, StructureRow
from IncrementalSegLib.files import write_json
from IncrementalSegLib.progress import Progress, silent
from IncrementalSegLib.types import DeviceName, Json
from Testing.benchmarks.archive import add_result, read_archive
from Testing.benchmarks.command import run_command
from Testing.benchmarks.locking import require_same
from Testing.benchmarks.phantoms import phantoms
from Testing.benchmarks.provenance import environment
from Testing.benchmarks.timing import Stopwatch

STRUCTURES = ("humerus", "scapula")
SUMMARY = "false-alarm.json"


@dataclass(frozen=True)
class Scale:
    """Size of the benchmark.

    Attributes:
        people: Scans; a fifth of them is held out and judges.
        size: Samples of a scan along D, H, W.
        first: Optimiser steps that teach.
        again: Optimiser steps of each candidate.
    """

    people: int = 30
    size: tuple[int, int, int] = (12, 64, 64)
    first: int = 240
    again: int = 120


def main(
    out: Annotated[Path, typer.Argument(metavar="DIR", help="Scans, model, results and summary.")],
    repeats: Annotated[int, typer.Option(min=2, metavar="N", help="Candidates with seeds 1, 2, ...")] = 20,
    device: Device = "auto",
) -> None:
    """Measure how often the gate holds back a version that differs only in the seed."""
    with progress_bar() as progress:
        result = run_false_alarm(out, repeats=repeats, device=device, progress=progress)
    rows = [(scans, f"{100 * rate:.0f} %") for scans, rate in result["rate_by_scans"].items()]
    print_table(f"Held back of {repeats} candidates", ("scans per structure", "false alarms"), rows)


def run_false_alarm(
    out: Path, *, repeats: int, device: DeviceName, progress: Progress = silent, scale: Scale | None = None
) -> Json:
    """Make and judge the candidates that are missing, and write ``false-alarm.json``.

    Returns:
        What :func:`summarise` returns, with the scale and the environment.

    Raises:
        OptionError: The folder holds results of another scale.
    """
    scale = scale or Scale()
    setting: Json = asdict(scale) | {"size": list(scale.size)}
    for name, found in read_archive(out).items():
        require_same(found["scale"], setting, f"{name} in {out}")
    data, model = phantoms(out / "scans", scale.people, "A", STRUCTURES, 0, scale.size), out / "model"

    def teach(seed: int, label: str) -> int:
        """Teach the first version (seed 0), or a candidate that stays one."""
        first = seed == 0
        step = learn(
            model,
            data,
            ", ".join(STRUCTURES),
            improve=not first,
            method="finetune",
            preset="quick",
            steps=scale.first if first else scale.again,
            exemplars="none",
            seed=seed,
            accept="always" if first else "never",
            device=device,
            progress=Stopwatch(progress, label),
        )
        return step.record.number

    if not (model / "model.json").exists():
        teach(0, "first version")
    names = {f"candidate-{seed:03d}": seed for seed in range(1, repeats + 1)}
    made: Json = {"scale": setting, "environment": environment(device)}
    for name, seed in names.items():
        if name not in read_archive(out):
            label = f"candidate {seed}/{repeats}"
            judged = gate(model, teach(seed, label), against=1, device=device, progress=Stopwatch(progress, label))
            add_result(out, name, {"seed": seed, "report": judged.report.to_json()} | made)
    results = read_archive(out)
    summary = summarise([results[name] for name in names]) | made
    write_json(out / SUMMARY, summary)
    return summary


def summarise(results: Sequence[Json]) -> Json:
    """Count the false alarms.

    Args:
        results: One object per candidate, with its ``report``; two or more.

    Returns:
        ``rate``: share held back where each candidate is judged against the one before (the first against the last),
        with its drops in points; ``rate_by_scans``: share over all ordered pairs with the first 1, 2, ... scans of
        each structure, the last with all of them.
    """
    reports = [RetentionReport.from_json(result["report"]) for result in results]
    most = max(len(row.after) for report in reports for row in report.rows)
    chain = [_between(one, other, most) for one, other in zip([reports[-1], *reports[:-1]], reports, strict=True)]
    drops: dict[str, list[float]] = {}
    for row in (row for report in chain for row in report.rows):
        drops.setdefault(row.structure, []).append(round(row.drop or 0.0, 3))
    pairs = list(permutations(reports, 2))
    return {
        "repeats": len(reports),
        "scans": most,
        "rate": _rate(chain),
        "pairs": len(pairs),
        "rate_by_scans": {
            str(count): _rate([_between(one, other, count) for one, other in pairs]) for count in range(1, most + 1)
        },
        "drops": {name: sorted(points) for name, points in drops.items()},
    }


def _between(one: RetentionReport, other: RetentionReport, count: int) -> RetentionReport:
    """Judge what ``other`` came to against what ``one`` came to, on the first ``count`` scans of each structure."""
    rng, before = np.random.default_rng(0), {row.id: row.after for row in one.rows}
    rows = [
        StructureRow.of(row.structure, row.id, before[row.id][:count], row.after[:count], other.limits, rng)
        for row in other.rows
    ]
    return RetentionReport.of(rows, other.limits, rng)


def _rate(reports: Sequence[RetentionReport]) -> float:
    return sum(bool(report.held_back_by) for report in reports) / len(reports)


if __name__ == "__main__":
    run_command(main)

"""How often does the gate hold back what is no worse?  The same model, trained on with other seeds.

A model learns two structures of phantoms.  Each candidate is that version taught on with the same method, the same
scans and another seed.  Between two candidates nothing differs but the seed, so whatever the gate holds back with one
in use and the other as candidate is a false alarm.  (Against the version that they all go on from they gain, because
they have learned longer: that comparison would flatter.)  The scores also tell what the gate says with fewer scans.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import permutations
from pathlib import Path

import numpy as np

from IncrementalSegLib.benchmarks.circumstances import environment, labelled
from IncrementalSegLib.engine.gate.gate import gate
from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.engine.progress import Progress, silent
from IncrementalSegLib.errors import DataError
from IncrementalSegLib.evaluation.retention import RetentionReport, StructureRow
from IncrementalSegLib.files import read_json, write_json
from IncrementalSegLib.sampling.phantom import write_phantom_dataset
from IncrementalSegLib.types import DeviceName, Json

STRUCTURES = ("humerus", "scapula")
SUMMARY = "false-alarm.json"


@dataclass(frozen=True)
class Scale:
    """How large the benchmark is.

    Attributes:
        people: Scans; a fifth of them is set aside and judges.
        size: Samples of a scan along D, H, W.
        first: Optimiser steps that teach.
        again: Optimiser steps of each candidate.
    """

    people: int = 30
    size: tuple[int, int, int] = (12, 64, 64)
    first: int = 240
    again: int = 120


def run_false_alarm(
    out: str | Path,
    *,
    repeats: int = 20,
    device: DeviceName = "auto",
    progress: Progress = silent,
    scale: Scale | None = None,
) -> Json:
    """Make and judge the candidates that are missing, and write the summary ``false-alarm.json``.

    Args:
        out: Folder of scans, model and one JSON per candidate; finished ones are skipped.
        repeats: Number of candidates, two or more, with the seeds 1, 2, ...
        device: ``auto``, ``cpu`` or ``cuda``.
        progress: Receives progress; what it raises ends the run, and finished candidates stay.
        scale: How large the benchmark is.

    Returns:
        What :func:`summarise` returns, with the scale and the environment.

    Raises:
        DataError: The folder holds results of another scale, or cannot be written.
    """
    out, scale = Path(out), scale or Scale()
    _claim(out, scale)
    data, model = out / "scans", out / "model"
    if not data.exists():
        write_phantom_dataset(data, scale.people, "A", STRUCTURES, 0, scale.size)
    if not (model / "model.json").exists():
        _teach(model, data, 0, scale.first, device, labelled(progress, "first version"))
    for seed in range(1, repeats + 1):
        file = out / f"candidate-{seed:03d}.json"
        if file.exists():
            continue
        report = labelled(progress, f"candidate {seed}/{repeats}")
        number = _teach(model, data, seed, scale.again, device, report)
        found = gate(model, number, against=1, device=device, progress=report)
        write_json(file, {"seed": seed, "report": found.report.to_json(), "environment": environment(device)})
    files = [out / f"candidate-{seed:03d}.json" for seed in range(1, repeats + 1)]
    results = [read_json(file) for file in files]
    summary = summarise(results) | {"scale": asdict(scale), "environment": environment(device)}
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
    for report in chain:
        for row in report.rows:
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


def _teach(model: Path, data: Path, seed: int, steps: int, device: DeviceName, progress: Progress) -> int:
    """Teach the first version (seed 0), or a candidate that stays one."""
    first = seed == 0
    result = learn(
        model,
        data,
        ", ".join(STRUCTURES),
        improve=not first,
        method="finetune",
        preset="quick",
        steps=steps,
        exemplars="none",
        seed=seed,
        accept="always" if first else "never",
        device=device,
        progress=progress,
    )
    return result.record.number


def _claim(out: Path, scale: Scale) -> None:
    """Make the folder, and refuse one that holds results of another scale."""
    settings = out / "settings.json"
    wanted: Json = {"scale": {**asdict(scale), "size": list(scale.size)}}
    if settings.exists():
        if read_json(settings) != wanted:
            raise DataError(f"The folder {out} holds results of another scale.", todo="Choose another folder.")
        return
    out.mkdir(parents=True, exist_ok=True)
    write_json(settings, wanted)


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

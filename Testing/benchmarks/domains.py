"""Recognition of scans unlike the training scans: ``python -m Testing.benchmarks.domains OUT.json --data DATA``.

No network is trained: the numbers need the plan and the scans alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from IncrementalSegLib.engine.domain import scan_features
from IncrementalSegLib.errors import DataError
from IncrementalSegLib.evaluation.domain import FAR, NEAR, Distance, Domain, ScanFeatures
from IncrementalSegLib.files import write_json
from IncrementalSegLib.preprocessing.pipeline import forward
from IncrementalSegLib.preprocessing.plan import Plan, plan_for
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.sampling.phantom import phantom_case
from IncrementalSegLib.types import Dimension, Json
from IncrementalSegLib.volumes.io import read_volume
from IncrementalSegLib.volumes.volume import Volume
from Testing.benchmarks.command import run_command

SETS = {
    "lumbar-spine-mr": 29,
    "abdomen-ct-btcv": 22,
    "abdomen-mr-chaos": 10,
    "hippocampus-mr": 64,
    "skin-2d-isic2017": 70,
}
"""Data set -> scans."""

DESIGN = 24
"""Scans of each set on which features and limits were chosen; the others were measured once, afterwards."""

TAUGHT, SPLITS, OTHERS = (1, 2, 3, 5, 10, 20), 20, 8


def _doubled(scan: Volume) -> Volume:
    x, y, z = scan.grid.spacing
    return replace(scan, grid=replace(scan.grid, spacing=(2 * x, 2 * y, 2 * z)))


def _thick(plan: Plan) -> Callable[[Volume], Volume]:
    """Return what keeps every other slice along the axis that a 2-D network never looks at."""

    def change(scan: Volume) -> Volume:
        axis = plan.turning(scan.grid)[0][0]
        array = np.take(scan.array, range(0, scan.array.shape[axis + 1], 2), axis=axis + 1)
        x, y, z = (step * (2 if number == 2 - axis else 1) for number, step in enumerate(scan.grid.spacing))
        return Volume(array, replace(scan.grid, shape=array.shape[1:], spacing=(x, y, z)))

    return change


def _changes(plan: Plan) -> dict[str, Callable[[Volume], Volume]]:
    inverted = lambda scan: scan.with_array(scan.array.max() - scan.array.astype(np.float32))  # noqa: E731
    found: dict[str, Callable[[Volume], Volume]] = {"inverted contrast": inverted}
    if not plan.planar:
        found |= {"header says twice the spacing": _doubled}
        if plan.dimension == 2:
            found["every other slice (same kind)"] = _thick(plan)
    return found


def _looks(scans: Sequence[Volume], plan: Plan, least: int = 8) -> list[ScanFeatures]:
    """Return what the scans look like that the model would take."""
    found = []
    for scan in scans:
        try:
            plan.check(scan, "A scan")
        except DataError:
            continue
        image = forward(scan, plan)[0]
        if min(image.shape[2:]) >= least:
            found.append(scan_features(scan, image, plan))
    return found


def _rates(distances: Sequence[Distance]) -> Json:
    largest, looks = (np.array([getattr(item, name) for item in distances]) for name in ("largest", "features"))
    return {
        "scans": len(distances),
        "apart or far": round(float(np.mean(largest > NEAR)), 4),
        "far": round(float(np.mean(largest > FAR)), 4),
        "by looks alone": round(float(np.mean(looks > NEAR)), 4),
        "median": round(float(np.median(largest)), 3),
    }


def _measure(
    own: Sequence[ScanFeatures], others: dict[str, list[ScanFeatures]], changed: dict[str, list[ScanFeatures]]
) -> Json:
    """Deal the own scans into those that teach and those that do not, many times."""
    result: Json = {}
    for taught in TAUGHT:
        if taught > len(own) - 4:
            continue
        random = np.random.default_rng(taught)
        distances: dict[str, list[Distance]] = {}
        for _ in range(SPLITS):
            order = random.permutation(len(own))
            domain = Domain.of([own[row] for row in order[:taught]])
            held = order[taught:]
            groups = {
                "own, design": [own[row] for row in held if row < DESIGN],
                "own, check": [own[row] for row in held if row >= DESIGN],
                **others,
                **{name: [looks[row] for row in held if row < len(looks)] for name, looks in changed.items()},
            }
            for name, looks in groups.items():
                distances.setdefault(name, []).extend(domain.distance(look) for look in looks)
        result[str(taught)] = {name: _rates(values) for name, values in distances.items() if values}
    return result


def main(
    out: Annotated[Path, typer.Argument(metavar="FILE", help="JSON file to write.")],
    data: Annotated[Path, typer.Option(metavar="DIR", help="Folder with the data sets.")],
) -> None:
    """Measure how often scans are called unlike the training scans."""
    scans = {
        name: [read_volume(case.images) for case in open_data(data / name).cases[:most]] for name, most in SETS.items()
    }
    for index, scanner in enumerate("ABC"):
        scans[f"phantom-{scanner}"] = [
            phantom_case((7, 100 * index + row), scanner, (16, 64, 64))[0] for row in range(20)
        ]
    example = data / "torso-ct-totalsegmentator-example"
    scans |= {f"torso-{kind}": [read_volume([example / f"{kind}.nii.gz"])] for kind in ("ct", "mr")}
    result: Json = {}
    wanted: list[tuple[str, Dimension]] = [(name, 2) for name in (*SETS, "phantom-A")]
    wanted += [(name, 3) for name in ("lumbar-spine-mr", "hippocampus-mr", "phantom-A")]
    for name, dimension in wanted:
        own = scans[name]
        sides = (128, 128) if dimension == 2 else (128, 64)
        plan = plan_for([scan.grid for scan in own], own[0].channels, dimension, 16, *sides)
        others = {other: _looks(found[:OTHERS], plan) for other, found in scans.items() if other != name}
        changed = {
            text: _looks([change(scan) for scan in own[:DESIGN]], plan) for text, change in _changes(plan).items()
        }
        result[f"{name} {dimension}-D"] = _measure(_looks(own, plan), others, changed)
        write_json(out, result)


if __name__ == "__main__":
    run_command(main)

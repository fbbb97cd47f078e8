"""One more structure for a network of nnU-Net: ``python -m Testing.benchmarks.adopted OUT --data DATA``.

The network knows the anterior hippocampus; each method teaches the posterior part on scans that were not among its
training scans, in which only this part is annotated.  Where a method needs mean features of the anterior part, they are
those of the scans on which nnU-Net trained.  Test are the scans of ``nnunet-hippocampus-anterior``.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Annotated

import numpy as np
import typer

from IncrementalSegLib.cli.output import Device, print_table, progress_bar
from IncrementalSegLib.engine.adoption.adopt import adopt_nnunet
from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.engine.remember import remember_again
from IncrementalSegLib.engine.scores.evaluate import evaluate
from IncrementalSegLib.engine.step.request import build_method
from IncrementalSegLib.progress import Progress, silent
from IncrementalSegLib.sampling.cases import Dataset
from IncrementalSegLib.sampling.datasets import open_data, select_cases
from IncrementalSegLib.types import DeviceName, Json
from Testing.benchmarks.archive import add_result, read_archive
from Testing.benchmarks.command import run_command
from Testing.benchmarks.locking import require_same
from Testing.benchmarks.provenance import environment
from Testing.benchmarks.timing import Stopwatch

METHODS = ("adapter", "decoder", "mib", "pcdd", "lwfseg", "finetune")
OLD, NEW = "anterior", "posterior"

_LABEL = "{0}={0} hippocampus"


@dataclass(frozen=True)
class Scale:
    """Size of the benchmark.

    Attributes:
        trained: Scans at the beginning of the data set on which nnU-Net trained.
        test: Numbers of the first and the last test scan, counted from 0.
        scans: Scans that teach, drawn by the seed from all others.
        steps: Optimiser steps.
    """

    trained: int = 40
    test: tuple[int, int] = (60, 69)
    scans: int = 25
    steps: int = 250


def main(
    out: Annotated[Path, typer.Argument(metavar="DIR", help="Results; models are deleted when they are scored.")],
    data: Annotated[Path, typer.Option(metavar="DIR", help="The folder that holds the data sets.")],
    methods: Annotated[str, typer.Option(metavar="a,b+OPTION=VALUE", help="Methods.")] = ",".join(METHODS),
    seeds: Annotated[int, typer.Option(min=0, metavar="N", help="Seeds 0, 1, ...")] = 3,
    device: Device = "auto",
) -> None:
    """Teach an adopted network one more structure with each method, and say what is kept and what is learned."""
    with progress_bar() as progress:
        run_adopted(out, data, methods.split(","), seeds=seeds, device=device, progress=progress)
    columns = ("method", "anterior before", "anterior", "posterior", "seeds", "time")
    print_table("Posterior taught to a network of nnU-Net", columns, rows(read_archive(out).values()))


def run_adopted(
    out: Path,
    data: Path,
    methods: Sequence[str],
    *,
    seeds: int,
    device: DeviceName,
    progress: Progress = silent,
    scale: Scale | None = None,
) -> None:
    """Make the results that are missing, seed by seed.

    Raises:
        OptionError: The folder holds results of another scale.
    """
    scale = scale or Scale()
    setting: Json = asdict(scale) | {"test": list(scale.test)}
    for name, found in read_archive(out).items():
        require_same(found["scale"], setting, f"{name} in {out}")
    source = next((data / "nnunet-hippocampus-anterior").glob("Dataset*/nnUNetTrainer*"))
    scans = open_data(data / "hippocampus-mr")
    for seed in range(seeds):
        for method in methods:
            if f"{method}-{seed}" not in read_archive(out):
                watch = Stopwatch(progress, f"{method}, seed {seed}")
                result = _taught(out / f"{method}-{seed}", source, scans, method, seed, scale, device, watch)
                add_result(out, f"{method}-{seed}", result | {"scale": setting, "environment": environment(device)})


def _taught(
    model: Path,
    source: Path,
    scans: Dataset,
    method: str,
    seed: int,
    scale: Scale,
    device: DeviceName,
    watch: Stopwatch,
) -> Json:
    """Adopt, teach and score."""
    ids = [case.id for case in scans.cases]
    test = ids[scale.test[0] : scale.test[1] + 1]
    others = [item for item in ids[scale.trained :] if item not in test]
    chosen = sorted(np.random.default_rng(seed).choice(others, scale.scans, replace=False).tolist())
    name, *given = method.split("+")
    options = {key: json.loads(value) for key, _, value in (item.partition("=") for item in given)}
    shutil.rmtree(model, ignore_errors=True)
    adopt_nnunet(source, model)
    before = _scores(model, scans, test, (OLD,), device)
    if "prototypes" in build_method(name, options).required():
        old = select_cases(scans, ids[: scale.trained])
        remember_again(model, old, name, structures=_LABEL.format(OLD), options=options, device=device, progress=watch)
    learn(
        model, select_cases(scans, chosen), _LABEL.format(NEW), method=name, options=options, steps=scale.steps,
        seed=seed, exemplars="none", accept="always", device=device, progress=watch,
    )  # fmt: skip
    after = _scores(model, scans, test, (OLD, NEW), device)
    shutil.rmtree(model)
    return {"method": method, "seed": seed, "before": before, "after": after, "duration": watch.to_json()}


def _scores(model: Path, scans: Dataset, test: Sequence[str], structures: Sequence[str], device: DeviceName) -> Json:
    """Return the Dice of each structure by test case."""
    wanted = ", ".join(_LABEL.format(name) for name in structures)
    found = evaluate(model, select_cases(scans, test), structures=wanted, device=device).structures
    return {name: {score.case: score.dice for score in found[name].scores} for name in structures}


def rows(results: Iterable[Json]) -> list[tuple[str, ...]]:
    """Return the rows of the table, a method each."""
    by_method: dict[str, list[Json]] = {}
    for result in results:
        by_method.setdefault(result["method"], []).append(result)
    return [
        (
            method,
            *(
                f"{100 * fmean(fmean(one[when][name].values()) for one in found):.1f}"
                for when, name in (("before", OLD), ("after", OLD), ("after", NEW))
            ),
            str(len(found)),
            f"{fmean(one['duration']['total'] for one in found) / 60:.0f} min",
        )
        for method, found in by_method.items()
    ]


if __name__ == "__main__":
    run_command(main)

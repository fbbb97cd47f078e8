"""One more structure for a network of nnU-Net: ``python -m Testing.benchmarks.adopted OUT --data DATA``.

The network knows the anterior hippocampus; each method teaches the posterior part on scans that were not among its
training scans, in which only this part is annotated.  Where a method needs mean features of the anterior part, they are
those of the scans on which nnU-Net trained.  The test scans are those of ``nnunet-hippocampus-anterior``.
``--methods alone`` trains nnU-Net itself, which must be installed, for the posterior part alone in as many steps.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import typer

from IncrementalSegLib.cli.output import Device, print_table, progress_bar
from IncrementalSegLib.engine.adoption.adopt import adopt_nnunet
from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.engine.remember import remember_again
from IncrementalSegLib.engine.scores.evaluate import evaluate
from IncrementalSegLib.engine.step.request import build_method
from IncrementalSegLib.files import write_bytes
from IncrementalSegLib.progress import Progress, silent
from IncrementalSegLib.sampling.cases import Dataset
from IncrementalSegLib.sampling.datasets import open_data, select_cases
from IncrementalSegLib.types import DeviceName, Json
from Testing.benchmarks.archive import add_result, read_archive
from Testing.benchmarks.command import run_command
from Testing.benchmarks.locking import require_same
from Testing.benchmarks.original import Original, Pace, dice_of
from Testing.benchmarks.provenance import environment
from Testing.benchmarks.seeds import compare_methods
from Testing.benchmarks.summary import gap, table
from Testing.benchmarks.timing import Stopwatch

ALONE = "alone"
METHODS = ("adapter", "decoder", "mib", "pcdd", "lwfseg", "finetune")
OLD, NEW = "anterior", "posterior"

COLUMNS = ("method", "anterior", "change", "posterior", "posterior − alone", "seeds")

_HEAD = """# One more structure for a network of nnU-Net

A network of nnU-Net that knows the anterior hippocampus learns the posterior part. Dice in per cent on ten test scans;
*change* is that of the anterior part. Differences are paired by test scan and seed, in points of Dice, with 95 %
t-intervals over both from three seeds on. `alone` is nnU-Net itself, trained for the posterior part alone.
"""

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
    found = rows(read_archive(out).values())
    print_table("Posterior taught to a network of nnU-Net", COLUMNS, found)
    write_bytes(out / "summary.md", "\n".join([_HEAD, *table(COLUMNS, found)]).encode())


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
                teaching, test = _dealt(scans, scale, seed)
                if method == ALONE:
                    result = _alone(teaching, test, seed, scale.steps)
                else:
                    old = select_cases(scans, [case.id for case in scans.cases[: scale.trained]])
                    model = out / f"{method}-{seed}"
                    result = _taught(model, source, teaching, test, old, method, seed, scale.steps, device, watch)
                add_result(out, f"{method}-{seed}", result | {"scale": setting, "environment": environment(device)})


def _dealt(scans: Dataset, scale: Scale, seed: int) -> tuple[Dataset, Dataset]:
    """Return the scans that teach and those of the test."""
    ids = [case.id for case in scans.cases]
    test = ids[scale.test[0] : scale.test[1] + 1]
    others = [item for item in ids[scale.trained :] if item not in test]
    chosen = sorted(np.random.default_rng(seed).choice(others, scale.scans, replace=False).tolist())
    return select_cases(scans, chosen), select_cases(scans, test)


def _alone(teaching: Dataset, test: Dataset, seed: int, steps: int) -> Json:
    """Train nnU-Net for the new structure alone, and score it."""
    name, began = _LABEL.format(NEW).partition("=")[2], time.process_time()
    with TemporaryDirectory() as folder:
        original = Original(Path(folder) / "nnunet", teaching.cases, [name], "3d_fullres")
        trained, _ = original.train(Pace(steps), seed)
        seconds = round(time.process_time() - began, 2)
        original.segment(trained, test.cases, Path(folder) / "found", mirror=False)
        after = {NEW: dice_of(Path(folder) / "found", test.cases, [name])[name]}
    return {"method": ALONE, "seed": seed, "before": {}, "after": after, "duration": {"total": seconds}}


def _taught(
    model: Path,
    source: Path,
    teaching: Dataset,
    test: Dataset,
    old: Dataset,
    method: str,
    seed: int,
    steps: int,
    device: DeviceName,
    watch: Stopwatch,
) -> Json:
    """Adopt, teach and score."""
    name, *given = method.split("+")
    options = {key: json.loads(value) for key, _, value in (item.partition("=") for item in given)}
    shutil.rmtree(model, ignore_errors=True)
    adopt_nnunet(source, model)
    before = _scores(model, test, (OLD,), device)
    if "prototypes" in build_method(name, options).required():
        remember_again(model, old, name, structures=_LABEL.format(OLD), options=options, device=device, progress=watch)
    learn(
        model, teaching, _LABEL.format(NEW), method=name, options=options, steps=steps, seed=seed, exemplars="none",
        accept="always", device=device, progress=watch,
    )  # fmt: skip
    after = _scores(model, test, (OLD, NEW), device)
    shutil.rmtree(model)
    return {"method": method, "seed": seed, "before": before, "after": after, "duration": watch.to_json()}


def _scores(model: Path, test: Dataset, structures: Sequence[str], device: DeviceName) -> Json:
    """Return the Dice of each structure by test case."""
    wanted = ", ".join(_LABEL.format(name) for name in structures)
    found = evaluate(model, test, structures=wanted, device=device).structures
    return {name: {score.case: score.dice for score in found[name].scores} for name in structures}


def rows(results: Iterable[Json]) -> list[tuple[str, ...]]:
    """Return the rows of the table, a method each."""
    by_method: dict[str, list[Json]] = {}
    for result in results:
        by_method.setdefault(result["method"], []).append(result)
    alone = _pairs(by_method.get(ALONE, ()), "after", NEW)
    return [
        (
            method,
            _mean(found, OLD),
            "" if method == ALONE else gap(compare_methods(_pairs(found, "after", OLD), _pairs(found, "before", OLD))),
            _mean(found, NEW),
            gap(compare_methods(_pairs(found, "after", NEW), alone)) if alone and method != ALONE else "",
            str(len(found)),
        )
        for method, found in by_method.items()
    ]


def _mean(found: Sequence[Json], name: str) -> str:
    """Return the mean Dice of a structure in per cent, over cases and seeds."""
    scores = [fmean(one["after"][name].values()) for one in found if name in one["after"]]
    return f"{100 * fmean(scores):.1f}" if scores else ""


def _pairs(results: Iterable[Json], when: str, name: str) -> dict[tuple[str, int], float | None]:
    """Return the Dice of a structure by case and seed."""
    return {(case, one["seed"]): dice for one in results for case, dice in one[when][name].items()}


if __name__ == "__main__":
    run_command(main)

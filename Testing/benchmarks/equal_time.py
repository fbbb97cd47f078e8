"""New models beside nnU-Net's after equal training time: ``python -m Testing.benchmarks.equal_time OUT --data DATA``.

Both train on the same scans, one after the other, on one thread, for as many optimiser steps as the time allows: a
short training tells how many of ours, and nnU-Net's are fitted epoch by epoch.  Planning, reading and preprocessing are
not counted; validation in training is, and ours may end early, as it does in use.  Times are CPU times, so
that other work on the machine does not count; each training has a process of its own, with the same allocator.  Run it
with ``OMP_NUM_THREADS=1``; nnU-Net must be installed.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean, median
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import typer

from IncrementalSegLib.cli.output import print_table, progress_bar
from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.engine.process import tune_process
from IncrementalSegLib.engine.segment import segment
from IncrementalSegLib.engine.step.state import TrainingCurve
from IncrementalSegLib.files import write_bytes
from IncrementalSegLib.progress import Phase, Progress, silent
from IncrementalSegLib.sampling.cases import Case, Dataset
from IncrementalSegLib.sampling.datasets import open_data, select_cases
from IncrementalSegLib.types import Json
from Testing.benchmarks.archive import add_result, read_archive
from Testing.benchmarks.command import run_command
from Testing.benchmarks.dealing import deal_patients
from Testing.benchmarks.locking import require_same
from Testing.benchmarks.original import Original, TimedPace, dice_of
from Testing.benchmarks.protocol import Data
from Testing.benchmarks.provenance import environment
from Testing.benchmarks.seeds import compare_methods
from Testing.benchmarks.summary import gap, table

THEIRS = "nnU-Net"
COLUMNS = (
    "data",
    "minutes (used)",
    "network",
    "Dice",
    "mirrored",
    "ours − nnU-Net",
    "steps",
    "s a scan",
    "GB",
    "seeds",
)

_HEAD = """# New models beside nnU-Net's after equal training time

Mean Dice in per cent over structures, test scans and seeds. *Mirrored* is nnU-Net's mean over mirrored scans, its
default, with which ours are compared: in points of Dice, paired by test scan and seed, with 95 % t-intervals over both
from three seeds on. Inference is CPU time without mirroring, memory the peak of the whole process.
"""

_TRIAL = 30
"""Optimiser steps of the short training; it validates as often as a long one."""


@dataclass(frozen=True)
class Race:
    """A data set, and who is compared on it.

    Attributes:
        data: The scans and test patients.
        scans: Training scans, drawn by the seed from all others.
        configuration: Of nnU-Net.
        networks: Of ours.
    """

    data: Data
    scans: int
    configuration: str
    networks: tuple[str, ...]


RACES = (
    Race(Data("hippocampus-mr", test_volumes=20, seed=2026), 40, "3d_fullres", ("nnunet3d", "unet2d")),
    # nnU-Net's 2-D slices of these nearly isotropic slabs are cut across their 20 slices
    Race(Data("lumbar-spine-mr", test_volumes=9, seed=2026), 20, "3d_fullres", ("unet2d", "nnunet2d")),
)


def main(
    out: Annotated[Path, typer.Argument(metavar="DIR", help="Results; models are deleted when they are scored.")],
    data: Annotated[Path, typer.Option(metavar="DIR", help="The folder that holds the data sets.")],
    minutes: Annotated[float, typer.Option(metavar="M", help="CPU time of each training.")] = 5,
    seeds: Annotated[int, typer.Option(min=0, metavar="N", help="Seeds 0, 1, ...")] = 3,
) -> None:
    """Compare the Dice on test scans after the same time of training."""
    with progress_bar() as progress:
        run_races(out, data, minutes=minutes, seeds=seeds, progress=progress)
    found = rows(read_archive(out).values())
    print_table("After equal training time", COLUMNS, found)
    write_bytes(out / "summary.md", "\n".join([_HEAD, *table(COLUMNS, found)]).encode())


def run_races(
    out: Path,
    data: Path,
    *,
    minutes: float,
    seeds: int,
    races: Sequence[Race] = RACES,
    progress: Progress = silent,
) -> None:
    """Make the results that are missing.

    Raises:
        OptionError: The folder holds results of other settings, or nnU-Net is not installed.
    """
    for race, seed in product(races, range(seeds)):
        scans = open_data(data / race.data.folder)
        rest, test = deal_patients(scans.cases, race.data, validation=False)
        chosen = np.random.default_rng(seed).choice([case.id for case in rest], race.scans, replace=False)
        teaching = select_cases(scans, sorted(chosen.tolist()))
        setting: Json = asdict(race.data) | {"scans": race.scans, "configuration": race.configuration}
        for who in (THEIRS, *race.networks):
            name = f"{race.data.folder}-{who}-{minutes:g}-{seed}"
            if name in (done := read_archive(out)):
                require_same(done[name]["setting"], setting, f"{name} in {out}")
                continue
            progress(name, 0.0)
            work, what = (_theirs, race.configuration) if who == THEIRS else (_ours, who)
            with TemporaryDirectory() as folder, ProcessPoolExecutor(1, get_context("spawn")) as process:
                run = process.submit(work, Path(folder), what, teaching, test, seed, minutes * 60).result()
            result = {"data": race.data.folder, "who": who, "minutes": minutes, "seed": seed, "setting": setting}
            add_result(out, name, result | run | {"environment": environment("cpu")})


def _theirs(
    folder: Path, configuration: str, teaching: Dataset, test: Sequence[Case], seed: int, seconds: float
) -> Json:
    """Train and score nnU-Net."""
    tune_process()
    original = Original(folder / "nnunet", teaching.cases, teaching.names, configuration)
    trainer, made = original.train(TimedPace(seconds), seed)
    plain = _cpu(lambda: original.segment(trainer, test, folder / "plain", mirror=False))
    original.segment(trainer, test, folder / "mirrored", mirror=True)
    return made | {
        "a_scan": plain / len(test),
        "peak_bytes": _peak(),
        "dice": dice_of(folder / "plain", test, teaching.names),
        "mirrored": dice_of(folder / "mirrored", test, teaching.names),
    }


def _ours(folder: Path, network: str, teaching: Dataset, test: Sequence[Case], seed: int, seconds: float) -> Json:
    """Train and score one of our networks."""
    tune_process()
    trial, _ = _taught(folder / "trial", network, teaching, seed, _TRIAL)
    others = sum(trial) - _TRIAL * median(trial)  # validation, and warming up
    parts, curve = _taught(folder / "model", network, teaching, seed, round((seconds - others) / median(trial)))
    scans = [case.images[0] for case in test]
    plain = _cpu(lambda: segment(folder / "model", scans, folder / "plain", format="nii.gz", device="cpu"))
    return {
        "steps": curve.steps,
        "planned_steps": curve.planned,
        "seconds": round(sum(parts), 1),
        "curve": curve.points,
        "a_scan": plain / len(test),
        "peak_bytes": _peak(),
        "dice": dice_of(folder / "plain", test, teaching.names),
    }


def _taught(model: Path, network: str, teaching: Dataset, seed: int, steps: int) -> tuple[list[float], TrainingCurve]:
    """Train for some steps, at least one, and return the CPU seconds of each with its validation, and the curve."""
    parts: list[float] = []
    began = time.process_time()

    def told(phase: str, fraction: float, numbers: Mapping[str, float] | None = None) -> None:
        nonlocal began
        present = time.process_time()
        if phase == Phase.TRAINING and numbers is None:  # in the middle of a validation
            return
        if phase == Phase.TRAINING and "dice" in (numbers or {}):
            parts[-1] += present - began
        elif phase == Phase.TRAINING:
            parts.append(present - began)
        began = present

    result = learn(
        model, teaching, ", ".join(teaching.names), network=network, steps=max(1, steps), seed=seed, exemplars="none",
        device="cpu", progress=told,
    )  # fmt: skip
    return parts, result.curve


def _cpu(work: Callable[[], object]) -> float:
    """Return the CPU seconds of a piece of work."""
    began = time.process_time()
    work()
    return time.process_time() - began


def _peak() -> int:
    """Return the most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def rows(results: Iterable[Json]) -> list[tuple[str, ...]]:
    """Return the rows of the table: a data set, time and network each."""
    groups: dict[tuple[str, float, str], list[Json]] = {}
    for result in results:
        groups.setdefault((result["data"], result["minutes"], result["who"]), []).append(result)
    return [
        (
            data,
            f"{minutes:g} ({fmean(one['seconds'] for one in found) / 60:.1f})",
            who,
            _mean(found, "dice"),
            _mean(found, "mirrored") if "mirrored" in found[0] else "",
            "" if who == THEIRS else _above(found, groups.get((data, minutes, THEIRS), [])),
            f"{fmean(one['steps'] for one in found):.0f}",
            f"{fmean(one['a_scan'] for one in found):.1f}",
            f"{max(one['peak_bytes'] for one in found) / 1e9:.1f}",
            str(len(found)),
        )
        for (data, minutes, who), found in sorted(groups.items())
    ]


def _mean(found: Sequence[Json], kind: str) -> str:
    """Return the mean Dice in per cent over structures, cases and seeds."""
    return f"{100 * fmean(fmean(case.values()) for one in found for case in one[kind].values()):.1f}"


def _above(ours: Sequence[Json], theirs: Sequence[Json]) -> str:
    """Return the difference from nnU-Net's mirrored predictions, with its interval."""
    return gap(compare_methods(_pairs(ours, "dice"), _pairs(theirs, "mirrored"))) if theirs else ""


def _pairs(results: Sequence[Json], kind: str) -> dict[tuple[str, int], float | None]:
    """Return the Dice by case and seed, the mean over structures."""
    return {
        (case, one["seed"]): fmean(scores[case] for scores in one[kind].values())
        for one in results
        for case in next(iter(one[kind].values()))
    }


if __name__ == "__main__":
    run_command(main)

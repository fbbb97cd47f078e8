"""Errors of the gate on real scans: ``python -m Testing.benchmarks.gate OUT --data DATA``.

A model learns its old structures from few scans.  Every candidate goes on from that version: with the same structures
and another seed (an improvement), or with a new structure from other patients, by methods that keep what is known and
by finetuning for few and for more steps, which loses a little and then everything.  A result holds the Dice before and
after of each of many patients that never trained, the Dice on the exemplars, and the agreement of both versions on the
step's scans; :mod:`Testing.benchmarks.gate_rates` draws retention sets from them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import SimpleITK as sitk
import typer
from filelock import FileLock

from IncrementalSegLib.cli.output import Device, progress_bar, say
from IncrementalSegLib.engine.carried import read_exemplars
from IncrementalSegLib.engine.documents import plan_of
from IncrementalSegLib.engine.gate.scans import Masks, RetentionScan
from IncrementalSegLib.engine.gate.scorer import Scorer, Scores
from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.engine.models import load
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.errors import DataError
from IncrementalSegLib.files import read_json, write_bytes, write_json
from IncrementalSegLib.progress import Progress
from IncrementalSegLib.sampling.cases import Case, Dataset
from IncrementalSegLib.sampling.datasets import open_data, select_cases
from IncrementalSegLib.sampling.prepare import prepare_case
from IncrementalSegLib.sampling.reading import read_case
from IncrementalSegLib.store.versions import ModelFolder, open_model
from IncrementalSegLib.types import DeviceName, Json, StructureId
from IncrementalSegLib.volumes.volume import Volume
from Testing.benchmarks.archive import add_result, read_archive
from Testing.benchmarks.command import run_command
from Testing.benchmarks.gate_rates import DRAWS, as_markdown, summarise
from Testing.benchmarks.provenance import environment
from Testing.benchmarks.timing import Stopwatch


@dataclass(frozen=True)
class GateScans:
    """A public data set and what is taught from it.

    Attributes:
        name: Name of its folder.
        old: What the first step teaches, as for ``learn``.
        new: What the next one teaches.
        judging: Patients that judge at most.
        shrink: Factors along x, y, z by which scans are made smaller first.
    """

    name: str
    old: str
    new: str
    judging: int
    shrink: tuple[int, int, int] = (1, 1, 1)


SCANS = (
    GateScans("lumbar-spine-mr", "vertebrae, intervertebral discs", "spinal canal", 13, (2, 4, 4)),
    GateScans("hippocampus-mr", "anterior hippocampus", "posterior hippocampus", 40),
)


@dataclass(frozen=True)
class Candidate:
    """One way to go on from the first version: a method, its optimiser steps, and whether to teach the old again."""

    method: str
    steps: int
    improve: bool = False

    @property
    def name(self) -> str:
        """What it is called in results."""
        return f"{'improve' if self.improve else self.method}-{self.steps}"


FAMILIES = {
    "heads": (
        Candidate("finetune", 50, improve=True),
        Candidate("lwfseg", 50),
        Candidate("aeiseg", 50),
        Candidate("finetune", 3),
        Candidate("finetune", 10),
        Candidate("lwfseg", 10),
        Candidate("aeiseg", 20),
        Candidate("finetune", 20, improve=True),
    ),
    "classes": (
        Candidate("finetune-softmax", 50, improve=True),
        Candidate("mib", 50),
        Candidate("lwf", 50),
        Candidate("finetune-softmax", 3),
        Candidate("finetune-softmax", 10),
        Candidate("mib", 10),
        Candidate("mib", 20),
        Candidate("finetune-softmax", 20, improve=True),
    ),
}
"""Family -> candidates; the first version is trained by the method of the first one."""

FIRST_STEPS = 150
"""Optimiser steps of the first version."""

TEACHING, NEXT = 10, 6
"""Patients of the first step, and others of the next."""

_OTHER_SEEDS = 1000


def main(
    out: Annotated[Path, typer.Argument(metavar="DIR", help="Results, rates, models and reduced scans.")],
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder with the data sets; without it results are counted.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, metavar="N", help="Models with the seeds 1, 2, ...")] = 3,
    device: Device = "auto",
) -> None:
    """Measure false alarms and misses of the gate; finished models are not trained again."""
    with progress_bar() as progress:
        for seed in range(1, seeds + 1) if data is not None else ():
            for scans in SCANS:
                for family in FAMILIES:
                    if f"{scans.name}-{family}-{seed}" not in read_archive(out):
                        run_chain(out, Path(data or ""), scans, family, seed, device=device, progress=progress)
    say(as_markdown(count_errors(out)))


def count_errors(out: Path, draws: int = DRAWS) -> Json:
    """Write ``gate-errors.json`` and ``gate-errors.md`` from the results of a folder, and return the rates.

    Raises:
        DataError: There is no result.
    """
    results = list(read_archive(out).values())
    if not results:
        raise DataError(f"{out} holds no results.", todo="Name the folder of the data sets with --data.")
    summary = summarise(results, draws)
    write_json(out / "gate-errors.json", summary)
    write_bytes(out / "gate-errors.md", as_markdown(summary).encode())
    return summary


def run_chain(
    out: Path, data: Path, scans: GateScans, family: str, seed: int, *, device: DeviceName, progress: Progress
) -> None:
    """Teach one model, make its candidates, and score them.

    Args:
        out: Folder of results, models and reduced scans; a candidate that is there already is not made again.
        data: Folder that holds the data set.
        scans: Which scans, and what is taught.
        family: Key of :data:`FAMILIES`.
        seed: Decides the patients and everything random.
        device: ``auto``, ``cpu`` or ``cuda``.
        progress: Receives progress.
    """
    dataset = smaller_scans(scans, data, out / "scans")
    teaching, following, judging = deal(dataset, seed, scans.judging)
    name, candidates = f"{scans.name}-{family}-{seed}", FAMILIES[family]
    model = out / "models" / name
    teach = partial(learn, model, preset="quick", device=device, restart=True)  # a killed chain goes on
    if not (model / "model.json").exists():
        watch = Stopwatch(progress, f"{name} first")
        teach(
            teaching,
            scans.old,
            method=candidates[0].method,
            steps=FIRST_STEPS,
            seed=seed,
            accept="always",
            progress=watch,
        )
    found: list[Json] = []
    for number, candidate in enumerate(candidates, 2):
        watch = Stopwatch(progress, f"{name} {candidate.name}")
        if number not in open_model(model).numbers():
            teach(
                teaching if candidate.improve else following,
                scans.old if candidate.improve else scans.new,
                method=candidate.method,
                improve=candidate.improve,
                steps=candidate.steps,
                seed=_OTHER_SEEDS + seed,
                exemplars="none",
                accept="never",
                progress=watch,
            )
        scores = score(open_model(model), number, judging, following, device, watch)
        found.append(asdict(candidate) | {"name": candidate.name, "structures": scores})
    result: Json = {
        "dataset": scans.name,
        "family": family,
        "seed": seed,
        "taught": [case.id for case in teaching.cases],
        "next": [case.id for case in following.cases],
        "judging": [case.id for case in judging.cases],
        "first": FIRST_STEPS,
        "candidates": found,
        "environment": environment(device),
    }
    add_result(out, name, result)


def deal(dataset: Dataset, seed: int, judging: int) -> tuple[Dataset, Dataset, Dataset]:
    """Return the scans of the first step, of the next, and those that judge; no patient is in two of them."""
    patients = sorted({case.patient for case in dataset.cases})
    order = [patients[row] for row in np.random.default_rng(seed).permutation(len(patients))]
    parts = (order[:TEACHING], order[TEACHING : TEACHING + NEXT], order[TEACHING + NEXT :][:judging])
    first, following, rest = (
        select_cases(dataset, [case.id for case in dataset.cases if case.patient in part]) for part in parts
    )
    return first, following, rest


def score(
    folder: ModelFolder, number: int, judging: Dataset, following: Dataset, device: DeviceName, progress: Progress
) -> Json:
    """Return per old structure the pairs of Dice by case: on patients, on exemplars, and the agreement."""
    runtime = start(device)
    before, after = (load(folder, runtime, version).predictor(runtime) for version in (1, number))
    scorer = Scorer(before, after, progress=progress)
    old = folder.record(1).structures
    plan = plan_of(folder.record(1))
    held = {entry["case"] for entry in folder.record(number).step["held_out"]}
    unlabelled = [
        Case(case.id, case.patient, case.images, frozenset()) for case in following.cases
    ]  # nothing looked for
    prepared = [prepare_case(case, {}, plan) for case in unlabelled]
    scores, problems = scorer.measure([_judge(case, {item.name: item.id for item in old}) for case in judging.cases])
    if problems:
        raise DataError(f"Scans cannot be used: {problems}.", todo="Get the data set anew.")
    memory = read_exemplars(folder, 1)
    return {
        item.name: {
            "patients": _pairs(scores[item.id]),
            "exemplars": _pairs(scorer.on_exemplars(item.id, memory)),
            "agreement": _pairs(scorer.agreement(item.id, [case for case in prepared if case.id not in held])),
            "agreement_aside": _pairs(scorer.agreement(item.id, [case for case in prepared if case.id in held])),
        }
        for item in old
    }


def _judge(case: Case, structure_of: dict[str, StructureId]) -> RetentionScan:
    def read() -> tuple[Volume, Masks]:
        volume, masks = read_case(case)
        return volume, {item: masks[name] for name, item in structure_of.items()}

    return RetentionScan(case.id, case.patient, tuple(structure_of.values()), read)


def _pairs(scores: Scores) -> Json:
    def short(dice: float | None) -> float | None:
        return None if dice is None else round(dice, 5)

    return {old.case: [short(old.dice), short(new.dice)] for old, new in scores}


def smaller_scans(scans: GateScans, data: Path, store: Path) -> Dataset:
    """Return the data set, with its scans reduced into ``store`` on the first call where that is asked for."""
    source = open_data(data / scans.name)
    if scans.shrink == (1, 1, 1):
        return source
    target = store / scans.name
    store.mkdir(parents=True, exist_ok=True)
    with FileLock(store / f"{scans.name}.lock"):
        if not (target / "dataset.json").exists():
            training = [_reduce(case, target, scans.shrink) for case in source.cases]
            write_json(target / "dataset.json", read_json(source.root / "dataset.json") | {"training": training})
    return open_data(target)


def _reduce(case: Case, target: Path, factors: tuple[int, int, int]) -> dict[str, str]:
    """Write a smaller copy of a case: the image as box means, the label by its nearest voxels."""
    assert case.label is not None, "the public sets have label maps"
    image = sitk.Cast(sitk.BinShrink(sitk.ReadImage(str(case.images[0])), factors), sitk.sitkFloat32)
    label = sitk.Resample(sitk.ReadImage(str(case.label)), image, sitk.Transform(), sitk.sitkNearestNeighbor)
    found = {}
    for kind, small in (("image", image), ("label", label)):
        (target / kind).mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(small, str(target / kind / f"{case.id}.nii.gz"))
        found[kind] = f"./{kind}/{case.id}.nii.gz"
    return found


if __name__ == "__main__":
    run_command(main)

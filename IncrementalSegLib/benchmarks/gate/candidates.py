"""Candidates on real scans, harmless and harmful, each scored on many patients that never trained.

A model learns its old structures from few scans. Every candidate goes on from that version: with the same structures
and another seed (an improvement), or with a new structure from other patients, by methods that keep what is known and
by finetuning for few and for more steps, which loses a little and then everything. One JSON per model holds the Dice
before and after of each patient, the Dice on the exemplars, and the agreement of both versions on the step's scans.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from IncrementalSegLib.benchmarks.circumstances import environment, labelled
from IncrementalSegLib.benchmarks.gate.scans import Scans, smaller_scans
from IncrementalSegLib.engine.gate.bench import Bench, Scores
from IncrementalSegLib.engine.gate.scans import Masks, RetentionScan
from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.engine.memories import read_exemplars
from IncrementalSegLib.engine.models import load
from IncrementalSegLib.engine.progress import Progress
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.errors import DataError
from IncrementalSegLib.files import write_json
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.sampling.cases import Case, Dataset
from IncrementalSegLib.sampling.datasets import select_cases
from IncrementalSegLib.sampling.prepare import prepare_case
from IncrementalSegLib.sampling.reading import read_case
from IncrementalSegLib.store.versions import ModelFolder, open_model
from IncrementalSegLib.types import DeviceName, Json, StructureId
from IncrementalSegLib.volumes.volume import Volume


@dataclass(frozen=True)
class Candidate:
    """One way to go on from the first version.

    Attributes:
        method: Registered name.
        steps: Optimiser steps.
        improve: Teach the old structures again instead of the new one.
    """

    method: str
    steps: int
    improve: bool = False

    @property
    def name(self) -> str:
        """What it is called in results."""
        return f"{'improve' if self.improve else self.method}-{self.steps}"


@dataclass(frozen=True)
class Family:
    """Methods whose models have one form of output.

    Attributes:
        first: Method of the first step.
        candidates: What follows it.
    """

    first: str
    candidates: tuple[Candidate, ...]


FAMILIES = {
    "heads": Family(
        "finetune",
        (
            Candidate("finetune", 50, improve=True),
            Candidate("lwfseg", 50),
            Candidate("aeiseg", 50),
            Candidate("finetune", 3),
            Candidate("finetune", 10),
            Candidate("lwfseg", 10),
            Candidate("aeiseg", 20),
            Candidate("finetune", 20, improve=True),
        ),
    ),
    "classes": Family(
        "finetune-softmax",
        (
            Candidate("finetune-softmax", 50, improve=True),
            Candidate("mib", 50),
            Candidate("lwf", 50),
            Candidate("finetune-softmax", 3),
            Candidate("finetune-softmax", 10),
            Candidate("mib", 10),
            Candidate("mib", 20),
            Candidate("finetune-softmax", 20, improve=True),
        ),
    ),
}

FIRST_STEPS = 150
"""Optimiser steps of the first version."""

TEACHING, NEXT = 10, 6
"""Patients of the first step, and others of the next."""

_OTHER_SEEDS = 1000


def run_chain(
    out: Path,
    data: Path,
    scans: Scans,
    family: str,
    seed: int,
    *,
    device: DeviceName,
    progress: Progress,
    first_steps: int = FIRST_STEPS,
) -> Json:
    """Teach one model, make its candidates, score them, and write ``DATASET-FAMILY-SEED.json``.

    Args:
        out: Folder of results, models and reduced scans; a candidate that is there already is not made again.
        data: Folder that holds the data set.
        scans: Which scans, and what is taught.
        family: Key of :data:`FAMILIES`.
        seed: Decides the patients and everything random.
        device: ``auto``, ``cpu`` or ``cuda``.
        progress: Receives progress.
        first_steps: Optimiser steps of the first version.
    """
    dataset = smaller_scans(scans, data, out / "scans")
    teaching, following, judging = deal(dataset, seed, scans.judging)
    chain = f"{scans.name}-{family}-{seed}"
    model, kind = out / "models" / chain, FAMILIES[family]
    teach = partial(learn, model, preset="quick", device=device, restart=True)  # a killed chain goes on
    if not (model / "model.json").exists():
        say = labelled(progress, f"{chain} first")
        teach(teaching, scans.old, method=kind.first, steps=first_steps, seed=seed, accept="always", progress=say)
    found: list[Json] = []
    for number, candidate in enumerate(kind.candidates, 2):
        say = labelled(progress, f"{chain} {candidate.name}")
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
                progress=say,
            )
        own = asdict(candidate) | {"name": candidate.name}
        found.append(own | {"structures": _scores(open_model(model), number, judging, following, device, say)})
    result = {
        "dataset": scans.name,
        "family": family,
        "seed": seed,
        "taught": [case.id for case in teaching.cases],
        "next": [case.id for case in following.cases],
        "judging": [case.id for case in judging.cases],
        "first": first_steps,
        "candidates": found,
        "environment": environment(device),
    }
    write_json(out / f"{chain}.json", result)
    return result


def deal(dataset: Dataset, seed: int, judging: int) -> tuple[Dataset, Dataset, Dataset]:
    """Return the scans of the first step, of the next, and those that judge; no patient is in two of them."""
    patients = sorted({case.patient for case in dataset.cases})
    order = [patients[row] for row in np.random.default_rng(seed).permutation(len(patients))]
    parts = (order[:TEACHING], order[TEACHING : TEACHING + NEXT], order[TEACHING + NEXT :][:judging])
    first, following, rest = (
        select_cases(dataset, [case.id for case in dataset.cases if case.patient in part]) for part in parts
    )
    return first, following, rest


def _scores(
    folder: ModelFolder, number: int, judging: Dataset, following: Dataset, device: DeviceName, progress: Progress
) -> Json:
    """Return per old structure the pairs of Dice by case: on patients, on exemplars, and the agreement."""
    runtime = start(device)
    before, after = (load(folder, runtime, version).predictor(runtime) for version in (1, number))
    bench = Bench(before, after, progress=progress)
    old = folder.record(1).structures
    plan = Plan.model_validate(folder.record(1).preprocessing)
    held = {entry["case"] for entry in folder.record(number).step["set_aside"]}
    prepared = [prepare_case(case, {}, plan) for case in bare(following)]
    scores, problems = bench.measure([_judge(case, {item.name: item.id for item in old}) for case in judging.cases])
    if problems:
        raise DataError(f"Scans cannot be used: {problems}.", todo="Get the data set anew.")
    memory = read_exemplars(folder, 1)
    return {
        item.name: {
            "patients": _pairs(scores[item.id]),
            "exemplars": _pairs(bench.on_exemplars(item.id, memory)),
            "agreement": _pairs(bench.agreement(item.id, [case for case in prepared if case.id not in held])),
            "agreement_aside": _pairs(bench.agreement(item.id, [case for case in prepared if case.id in held])),
        }
        for item in old
    }


def bare(dataset: Dataset) -> Sequence[Case]:
    """Return the cases with nothing looked for."""
    return [Case(case.id, case.patient, case.images, frozenset()) for case in dataset.cases]


def _judge(case: Case, structure_of: dict[str, StructureId]) -> RetentionScan:
    def read() -> tuple[Volume, Masks]:
        volume, masks = read_case(case)
        return volume, {item: masks[name] for name, item in structure_of.items()}

    return RetentionScan(case.id, case.patient, tuple(structure_of.values()), read)


def _pairs(scores: Scores) -> Json:
    def short(dice: float | None) -> float | None:
        return None if dice is None else round(dice, 5)

    return {old.case: [short(old.dice), short(new.dice)] for old, new in scores}

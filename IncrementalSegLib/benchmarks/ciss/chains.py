"""Run chains: all stages of a protocol by one method with one seed, scored after each stage.

    OUT/PROTOCOL/METHOD-seedN.json    a finished chain; it is skipped from then on
    OUT/.first/                       models after one stage from nothing, known by what taught them, with their scores:
                                      shared by all chains, and by all protocols, that begin in the same way
    OUT/.data/  OUT/.work/  OUT/.locks/    phantoms, the chains under way, who does what
    OUT/.slices/PROTOCOL/             what the chains of one seed make of one test scan, for pictures

Any number of processes may work on one folder.  A killed one loses what it did since its last checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from IncrementalSegLib.benchmarks.circumstances import environment
from IncrementalSegLib.benchmarks.ciss.protocol import Protocol
from IncrementalSegLib.benchmarks.ciss.results import read_chain
from IncrementalSegLib.benchmarks.ciss.scans import Scans, scans_for
from IncrementalSegLib.benchmarks.ciss.slices import SHOWN_SEED, write_slices
from IncrementalSegLib.benchmarks.ciss.training import Trained, Training
from IncrementalSegLib.benchmarks.ciss.variants import FIRST, Variant, method_of
from IncrementalSegLib.benchmarks.sharing import once, read_shared, require_same, unless_taken
from IncrementalSegLib.engine.progress import Progress
from IncrementalSegLib.evaluation.forgetting import ScoreMatrix
from IncrementalSegLib.files import plain_errors, write_json
from IncrementalSegLib.sampling.cases import Dataset
from IncrementalSegLib.types import Json


@dataclass(frozen=True)
class Chain:
    """All stages by one method, or a bound, with one seed."""

    variant: Variant
    seed: int

    @property
    def name(self) -> str:
        """Name of its file without the ending."""
        return f"{self.variant.name}-seed{self.seed}"


class Runner:
    """Run the chains of a protocol into a folder.

    Args:
        protocol: The protocol.
        out: The folder.
        data: The data set, or the folder that holds it; ``None`` for phantoms.
        device: ``auto``, ``cpu`` or ``cuda``.
        progress: Receives progress.
    """

    def __init__(self, protocol: Protocol, out: Path, data: Path | None, device: str, progress: Progress) -> None:
        self.protocol, self.out, self.data, self.device, self.progress = protocol, out, data, device, progress

    @cached_property
    def scans(self) -> Scans:
        """The scans of the protocol, opened when they are needed first."""
        return scans_for(self.protocol, self.out / ".data", self.data)

    def is_finished(self, chain: Chain) -> bool:
        """Return whether a chain needs no work."""
        return self._file(chain).is_file()

    def run(self, chain: Chain) -> None:
        """Do a chain, unless it is finished or another process is at it.

        Raises:
            OptionError: The folder holds results of other settings.
            ModelError: It cannot be written, or something in it is damaged.
        """
        with plain_errors(self.out):
            self._require_fit(chain)
            unless_taken(self.out, f"{self.protocol.name}-{chain.name}", lambda: self._run(chain))

    def _require_fit(self, chain: Chain) -> None:
        """Refuse a chain that must not stand in one table with those that have finished."""
        for file in (self.out / self.protocol.name).glob("*-seed*.json"):
            found, setting = read_chain(file), self._setting(chain)
            if found["method"] != chain.variant.name:
                setting |= {"options": found["setting"]["options"]}
            require_same(found["setting"], setting, file)
            planned = {stage["step"]["schedule"]["planned_steps"] for stage in found["stages"]}
            wanted = {self._steps(method_of(found["method"]))}
            require_same({"planned_steps": planned}, {"planned_steps": wanted}, file)

    def _run(self, chain: Chain) -> None:
        if self.is_finished(chain):
            return
        protocol = self.protocol
        self.scans.require_all()
        routes = {"offline": self._offline, "separate": self._separate}
        done, models = routes.get(chain.variant.method, self._one_model)(chain)
        result: Json = {
            "benchmark": "ciss",
            "title": protocol.source.title,
            "protocol": protocol.name,
            "method": chain.variant.name,
            "seed": chain.seed,
            "setting": self._setting(chain),
            "matrix": self._matrix(done).to_json(),
            "stages": done,
            "environment": environment(self.device),
        }
        if chain.seed == SHOWN_SEED:
            file = self.out / ".slices" / protocol.name / f"{chain.variant.name}.safetensors"
            write_slices(file, models, self.scans.test, done[-1]["scores"], self.device)
        file = self._file(chain)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, result)
        shutil.rmtree(self._work(chain), ignore_errors=True)

    def _offline(self, chain: Chain) -> tuple[list[Json], list[Trained]]:
        """Teach everything at once, all labelled."""
        everything = self.protocol.structures
        first = self._first(chain, everything, self.scans.with_any(everything), self._label(chain, 0))
        return [_stage(first)], [Trained(first / "model", everything)]

    def _separate(self, chain: Chain) -> tuple[list[Json], list[Trained]]:
        """Teach each stage to a model of its own; what earlier ones know stays as it is."""
        done: list[Json] = []
        models = []
        for number, taught in enumerate(self.protocol.stages):
            first = self._first(chain, taught, self.scans.of_stage(number, chain.seed), self._label(chain, number))
            stage = _stage(first)
            done.append(stage | {"scores": (done[-1]["scores"] if done else {}) | stage["scores"]})
            models.append(Trained(first / "model", taught))
        return done, models

    def _one_model(self, chain: Chain) -> tuple[list[Json], list[Trained]]:
        """Teach stage after stage to one model; a chain that was killed goes on."""
        work, stages, setting = self._work(chain), self.protocol.stages, self._setting(chain)
        diary, model = work / "done.json", work / "model"
        if not diary.is_file() or _begun(diary)["setting"] != setting:
            first = self._first(chain, stages[0], self.scans.of_stage(0, chain.seed), self._label(chain, 0))
            shutil.rmtree(work, ignore_errors=True)
            shutil.copytree(first / "model", model)
            write_json(diary, {"setting": setting, "stages": [_stage(first)]})
        done: list[Json] = _begun(diary)["stages"]
        for number in range(len(done), len(stages)):
            known = [name for stage in stages[: number + 1] for name in stage]
            training = self._training(self.protocol, chain, self._label(chain, number))
            scans = self.scans.of_stage(number, chain.seed)
            variant = chain.variant
            done.append(
                training.stage(model, number + 1, scans, stages[number], variant.method, variant.options, known)
            )
            write_json(diary, {"setting": setting, "stages": done})
        return done, [Trained(model, self.protocol.structures)]

    def _first(self, chain: Chain, taught: Sequence[str], scans: Dataset, label: str) -> Path:
        """Return the folder of a model that was taught from nothing; who comes first trains it, others wait."""
        protocol = replace(self.protocol, steps=self._steps(chain.variant.method))
        setting: Json = {
            "protocol": {name: protocol.setting()[name] for name in ("dataset", "network", "preset", "steps")},
            "taught": list(taught),
            "scans": [case.id for case in scans.cases],
            "test": [case.id for case in self.scans.test.cases],
            "options": chain.variant.beginning,
            "seed": chain.seed,
        }
        key = hashlib.sha256(json.dumps(setting, sort_keys=True).encode()).hexdigest()[:16]
        folder = self.out / ".first" / f"{self.protocol.source.name}-{key}"

        def make(work: Path) -> None:
            training = self._training(protocol, chain, label)
            stage = training.stage(work / "model", 1, scans, taught, FIRST, chain.variant.beginning, taught)
            write_json(work / "first.json", {"setting": setting, "stage": stage})

        once(self.out, folder, make)
        return folder

    def _steps(self, method: str) -> int:
        """Return the steps of a stage; the only one of ``offline`` has as many as others in all their stages."""
        return self.protocol.steps * (len(self.protocol.stages) if method == "offline" else 1)

    def _training(self, protocol: Protocol, chain: Chain, label: str) -> Training:
        return Training(protocol, self.scans.test, chain.seed, self.device, self.progress, label)

    def _label(self, chain: Chain, number: int) -> str:
        stages = 1 if chain.variant.method == "offline" else len(self.protocol.stages)
        return f"{self.protocol.name} {chain.name}, stage {number + 1} of {stages}"

    def _matrix(self, done: Sequence[Json]) -> ScoreMatrix:
        """Return R[t][k]; a chain of one stage has learned everything in it."""
        stages = self.protocol.stages
        learned = [min(number, len(done) - 1) for number, stage in enumerate(stages) for _ in stage]
        rows = [tuple(stage["scores"].get(name, {}).get("dice") for name in self.protocol.structures) for stage in done]
        return ScoreMatrix(self.protocol.structures, tuple(learned), tuple(rows))

    def _setting(self, chain: Chain) -> Json:
        return self.protocol.setting() | {
            "teaching": [case.id for case in self.scans.teaching.cases],
            "test": [case.id for case in self.scans.test.cases],
            "options": chain.variant.options,
        }

    def _file(self, chain: Chain) -> Path:
        return self.out / self.protocol.name / f"{chain.name}.json"

    def _work(self, chain: Chain) -> Path:
        return self.out / ".work" / f"{self.protocol.name}-{chain.name}"


def _stage(first: Path) -> Json:
    stage: Json = read_shared(first / "first.json", ("stage",), first)["stage"]
    return stage


def _begun(diary: Path) -> Json:
    return read_shared(diary, ("setting", "stages"), diary.parent)

"""Run chains: all stages of a protocol by one method with one seed, scored after each stage.

    OUT/results.jsonl.xz    results of finished chains, which are not run again
    OUT/.first/             models after a first step, with their scores, by a hash of their settings: shared by all
                            chains, also of other protocols, that begin in the same way
    OUT/.models/            models of the chains with seed 0
    OUT/.data/  OUT/.work/  OUT/.locks/    phantoms, unfinished chains, locks

Any number of processes may work in one folder. A killed process loses only the work since its last checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from IncrementalSegLib.engine.correct import PROPAGATE_ONLY
from IncrementalSegLib.engine.learn import learn, resume
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.engine.scores.evaluate import evaluate
from IncrementalSegLib.engine.step.result import StepResult
from IncrementalSegLib.files import plain_errors, read_json, write_json
from IncrementalSegLib.progress import Progress
from IncrementalSegLib.registry import find
from IncrementalSegLib.sampling.cases import Dataset
from IncrementalSegLib.store.unfinished import Unfinished
from IncrementalSegLib.store.versions import create_or_open
from IncrementalSegLib.types import DeviceName, Json
from Testing.benchmarks.archive import FILE, add_result, read_archive
from Testing.benchmarks.corrections import correct_images
from Testing.benchmarks.locking import once, require_same, unless_taken
from Testing.benchmarks.precision import computing_in
from Testing.benchmarks.protocol import Protocol, Stage
from Testing.benchmarks.provenance import describe, environment
from Testing.benchmarks.scans import Scans, scans_for
from Testing.benchmarks.timing import Stopwatch
from Testing.benchmarks.variants import Variant

_KEPT_SEED = 0


@dataclass(frozen=True)
class Chain:
    """All stages of a protocol by one method, or a bound, with one seed."""

    protocol: Protocol
    variant: Variant
    seed: int

    @property
    def name(self) -> str:
        """Name of its result."""
        return f"{self.protocol.name}-{self.variant.name}-seed{self.seed}"

    @property
    def training_seed(self) -> int:
        """Seed of the stages; consecutive sequences of different images begin from one model."""
        session, images = self.protocol.session, self.protocol.data.test_volumes
        return self.seed if session is None or self.protocol.validation else self.seed // (images // session.tasks)


class Runner:
    """Run chains into a folder.

    Args:
        out: The folder.
        data: The data set, or the folder that holds it; ``None`` for phantoms.
        device: ``auto``, ``cpu`` or ``cuda``.
        progress: Receives progress.
    """

    def __init__(self, out: Path, data: Path | None, device: DeviceName, progress: Progress) -> None:
        self.out, self.data, self.device, self.progress = out, data, device, progress
        self._opened: dict[tuple[str, int], Scans] = {}

    def is_finished(self, chain: Chain) -> bool:
        """Return whether a chain has a result."""
        return chain.name in read_archive(self.out)

    def run(self, chain: Chain) -> None:
        """Run a chain, unless it is finished or another process runs it.

        Raises:
            OptionError: The folder holds results of other settings.
            ModelError: It cannot be written, or something in it is damaged.
        """
        with plain_errors(self.out):
            self._require_fit(chain)
            with computing_in(self._precision(chain)):
                unless_taken(self.out, chain.name, lambda: self._run(chain))

    def scans(self, chain: Chain) -> Scans:
        """Return the scans of a chain, opened once."""
        key = chain.protocol.name, chain.seed
        if key not in self._opened:
            self._opened[key] = scans_for(chain.protocol, chain.seed, self.out / ".data", self.data)
        return self._opened[key]

    def setting(self, chain: Chain) -> Json:
        """Return all settings of a chain except for the seed."""
        scans = self.scans(chain)
        numbers: Json = {"teaching": scans.volumes, "test": scans.test, "options": chain.variant.options}
        if scans.sources is not None:
            numbers["domains"] = scans.sources.tests()
        return chain.protocol.setting() | numbers

    def _require_fit(self, chain: Chain) -> None:
        """Refuse a chain whose settings differ from those of the finished ones."""
        for name, found in read_archive(self.out).items():
            if found["protocol"] == chain.protocol.name:
                setting, known = self.setting(chain), found["setting"]["options"]
                if found["method"] != chain.variant.name:
                    setting["options"] = known
                # A newer option leaves things as they were by default, and is otherwise part of the name.
                setting["options"] = {name: value for name, value in setting["options"].items() if name in known}
                require_same(found["setting"], setting, f"{name} in {self.out / FILE}")

    def _precision(self, chain: Chain) -> str | None:
        """Return the precision of the finished chains of a protocol; ``None`` before the first one."""
        finished = (item for item in read_archive(self.out).values() if item["protocol"] == chain.protocol.name)
        return next((item["environment"]["precision"] for item in finished), None)

    def _run(self, chain: Chain) -> None:
        if self.is_finished(chain):
            return
        self.scans(chain).require_all()
        routes = {"offline": self._offline, "separate": self._separate, PROPAGATE_ONLY: self._one_model}
        done = routes[chain.variant.method](chain) if chain.variant.bound else self._one_model(chain)
        result: Json = {
            "protocol": chain.protocol.name,
            "method": chain.variant.name,
            "seed": chain.seed,
            "setting": self.setting(chain),
            "stages": done,
            "environment": environment(self.device),
        }
        if chain.protocol.session is not None:
            method = None if chain.variant.bound else chain.variant.method
            images, watch = self.scans(chain).tests[-1], Stopwatch(self.progress, chain.name)
            model, options = self._work(chain) / "model", chain.variant.options
            result["tasks"] = correct_images(
                chain.protocol.session, images, model, method, options, chain.seed, self.device, watch
            )
        add_result(self.out, chain.name, result)
        self._put_away(chain)

    def _offline(self, chain: Chain) -> list[Json]:
        """Teach everything at once, all labelled."""
        protocol = chain.protocol
        everything = Stage(protocol.structures, sum(stage.steps for stage in protocol.stages))
        return [self._first(chain, 0, everything, self.scans(chain).everything())[1]]

    def _separate(self, chain: Chain) -> list[Json]:
        """Teach each stage to a model of its own; scores of earlier stages do not change."""
        done: list[Json] = []
        for number, stage in enumerate(chain.protocol.stages):
            own = self._each_source(chain, number, stage) if stage.sources else self._alone(chain, number, stage)
            done.append(own | {"scores": (done[-1]["scores"] if done else {}) | own["scores"]})
        return done

    def _alone(self, chain: Chain, number: int, stage: Stage) -> Json:
        return self._first(chain, number, stage, self.scans(chain).of_stage(number))[1]

    def _each_source(self, chain: Chain, number: int, stage: Stage) -> Json:
        """Teach each source of a stage to a model of its own; it is scored on the test scans of its data set."""
        found: list[Json] = []
        for source, scans, tests in self.scans(chain).of_sources(number):
            _, own = self._first(chain, number, replace(stage, structures=source.structures), scans)
            for score in own["scores"].values():
                score["per_case"] = [entry for entry in score["per_case"] if entry["case"] in tests]
            found.append(own)
        return joined(found)

    def _one_model(self, chain: Chain) -> list[Json]:
        """Teach all stages to one model; a killed chain is resumed."""
        work, stages, setting = self._work(chain), chain.protocol.stages, self.setting(chain)
        diary, model, scans = work / "done.json", work / "model", self.scans(chain)
        if not diary.is_file() or read_json(diary)["setting"] != setting:
            first, stage = self._first(chain, 0, stages[0], scans.of_stage(0))
            shutil.rmtree(work, ignore_errors=True)
            shutil.copytree(first, model)
            write_json(diary, {"setting": setting, "stages": [stage]})
        done: list[Json] = read_json(diary)["stages"]
        for number in range(len(done), len(stages)):
            done.append(self._teach(chain, model, number, stages[number], scans.of_stage(number)))
            write_json(diary, {"setting": setting, "stages": done})
        return done

    def _first(self, chain: Chain, number: int, stage: Stage, scans: Dataset) -> tuple[Path, Json]:
        """Return a model after a first step, and its stage; the first process trains it, others wait."""
        known = chain.protocol.setting()
        setting: Json = {name: known[name] for name in ("data", "network", "preset", "exemplars")}
        setting |= {
            "first": chain.variant.begins,
            "taught": list(stage.structures),
            "steps": stage.steps,
            "scans": [case.id for case in scans.cases],
            **({"looked_for": [sorted(case.looked_for) for case in scans.cases]} if stage.sources else {}),
            "test": [case.id for test, _ in self.scans(chain).measuring(stage.structures) for case in test.cases],
            "options": chain.variant.beginning,
            "seed": chain.training_seed,
            "precision": start(self.device).precision,
        }
        key = hashlib.sha256(json.dumps(setting, sort_keys=True).encode()).hexdigest()[:16]

        def make(work: Path) -> None:
            done = self._teach(chain, work / "model", number, stage, scans, first=True)
            write_json(work / "first.json", {"setting": setting, "stage": done})

        folder = self.out / ".first" / f"{chain.protocol.data.folder or 'phantom'}-{key}"
        once(self.out, folder, make)
        return folder / "model", read_json(folder / "first.json")["stage"]

    def _teach(
        self, chain: Chain, model: Path, number: int, stage: Stage, scans: Dataset, *, first: bool = False
    ) -> Json:
        """Run or resume a stage, and score all structures that the model knows.

        Args:
            chain: The chain.
            model: Folder of the model.
            number: Number of the stage in the protocol, from 0.
            stage: What is taught.
            scans: Training scans; only the structures of the stage are read from their labels.
            first: Whether it is the first step of a new model.
        """
        stages = chain.protocol.stages
        watch = Stopwatch(self.progress, f"{chain.name}, stage {number + 1} of {len(stages)}")
        seen = [stage] if first else stages[: number + 1]
        known = list(dict.fromkeys(name for item in seen for name in item.structures))
        step, resumed = self._step(chain, model, number, stage, scans, watch, first)
        scores: Json = {}
        for test, names in self.scans(chain).measuring(known):
            found = evaluate(model, test, structures=", ".join(names), device=self.device, progress=watch)
            scores |= {name: found.structures[name].to_json() for name in names}
        return {
            "taught": list(stage.structures),
            "scores": {name: scores[name] for name in known},
            "step": describe(step, watch, resumed=resumed),
        }

    def _step(
        self, chain: Chain, model: Path, number: int, stage: Stage, scans: Dataset, watch: Stopwatch, first: bool
    ) -> tuple[StepResult, bool]:
        """Return the step, and whether it was resumed, so that its durations are too short."""
        protocol, variant, version = chain.protocol, chain.variant, 1 if first else number + 1
        folder = create_or_open(model)
        if folder.current == version:  # killed between the step and its scores
            return StepResult.of(folder, version), True
        if Unfinished(model).exists:
            return resume(model, data=scans, device=self.device, progress=watch), True
        step = learn(
            model,
            scans,
            ", ".join(stage.structures),
            method=variant.begins if first else variant.method,
            options=variant.beginning if first else variant.options,
            network=protocol.network,
            preset=protocol.preset,
            steps=stage.steps,
            exemplars="keep" if variant.exemplars and number + 1 < len(protocol.stages) else "none",
            seed=chain.training_seed,
            improve=stage.improve,
            unlabelled=None if first else self._unlabelled(chain, model.parent, number),
            accept="always",  # forgetting is measured, not prevented
            device=self.device,
            progress=watch,
        )
        return step, False

    def _unlabelled(self, chain: Chain, folder: Path, number: int) -> Path | None:
        """Write a manifest of the scans of all earlier stages, without labels, if the method draws such scans."""
        if not chain.protocol.unlabelled or not find("method", chain.variant.method).draws_unlabelled:
            return None
        earlier = {case.id: case for stage in range(number) for case in self.scans(chain).of_stage(stage).cases}
        rows = [{"image": [str(path) for path in case.images]} for case in earlier.values()]
        write_json(folder / "unlabelled.json", {"cases": rows})
        return folder / "unlabelled.json"

    def _work(self, chain: Chain) -> Path:
        return self.out / ".work" / chain.name

    def _put_away(self, chain: Chain) -> None:
        """Keep the model of one seed and remove the others."""
        work, kept = self._work(chain), self.out / ".models" / chain.name
        if chain.seed == _KEPT_SEED and (work / "model").is_dir():
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(kept, ignore_errors=True)
            (work / "model").rename(kept)
        shutil.rmtree(work, ignore_errors=True)


def joined(parts: list[Json]) -> Json:
    """Return several first stages as one: scores by case, means left out, durations added up."""
    scores: Json = {}
    for part in parts:
        for name, score in part["scores"].items():
            entry = scores.setdefault(name, {"per_case": [], "assd_mm": None})
            entry["per_case"] = [*entry["per_case"], *score["per_case"]]
    seconds = sum(part["step"]["seconds"]["total"] for part in parts)
    step = parts[0]["step"] | {"seconds": parts[0]["step"]["seconds"] | {"total": seconds}}
    return {"taught": list(scores), "scores": scores, "step": step}

"""Run chains: the first step once per protocol and seed, then the second step by one method, then the scores.

    OUT/PROTOCOL/SCENARIO-METHOD-seedN.json    a finished chain; it is skipped from then on
    OUT/.first/PROTOCOL-seedN/                 the model after the first step and its scores, shared by all chains
    OUT/.data/  OUT/.work/  OUT/.locks/        phantoms, the chains under way, who does what
    OUT/.models/PROTOCOL-SCENARIO-METHOD/      the models of one seed, for pictures

Any number of processes may work on one folder; a killed one loses the chain under way and nothing else.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from IncrementalSegLib.benchmarks.circumstances import Stopwatch, describe, environment
from IncrementalSegLib.benchmarks.ozdemir.protocols import Chain
from IncrementalSegLib.benchmarks.ozdemir.scans import Scans, scans_for
from IncrementalSegLib.benchmarks.sharing import once, require_same, unless_taken
from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.engine.progress import Progress
from IncrementalSegLib.engine.scores.evaluate import evaluate
from IncrementalSegLib.evaluation.forgetting import ScoreMatrix
from IncrementalSegLib.files import read_json, write_json
from IncrementalSegLib.sampling.cases import Dataset
from IncrementalSegLib.types import Json

_KEPT_SEED = 0


class Runner:
    """Run chains into a folder.

    Args:
        out: The folder.
        data: Folder with the real data sets, or ``None``.
        device: ``auto``, ``cpu`` or ``cuda``.
        progress: Receives progress.
    """

    def __init__(self, out: Path, data: Path | None, device: str, progress: Progress) -> None:
        self.out, self.data, self.device, self.progress = out, data, device, progress

    def is_finished(self, chain: Chain) -> bool:
        """Return whether a chain needs no work.

        Raises:
            OptionError: Its result was made with other settings and must not be mixed with this run's.
        """
        file = self._file(chain)
        if not file.is_file():
            return False
        require_same(read_json(file)["setting"], _setting(chain), file)
        return True

    def run(self, chain: Chain) -> None:
        """Do a chain, unless it is finished or another process is at it."""
        unless_taken(self.out, f"{chain.protocol.name}-{chain.name}", lambda: self._run(chain))

    def _run(self, chain: Chain) -> None:
        if self.is_finished(chain):
            return
        protocol = chain.protocol
        scans = scans_for(protocol, chain.scenario, chain.seed, self.out / ".data", self.data)
        first = self._first(chain, scans)
        began = read_json(first / "first.json")
        work = self.out / ".work" / f"{protocol.name}-{chain.name}"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(first / "model", work)
        watch = Stopwatch(self.progress, f"{protocol.name} {chain.name}")
        step = learn(
            work,
            scans.second,
            protocol.new,
            method=chain.method,
            preset=protocol.preset,
            steps=protocol.steps[1],
            exemplars="none",  # no step follows that could use them
            accept="always",  # also what forgets shall be measured
            seed=chain.seed,
            device=self.device,
            progress=watch,
        )
        after = self._scores(work, chain, scans, watch)
        before = began["scores"]
        rows = (
            (before[protocol.old]["dice"], None),
            (after[protocol.old]["dice"], after[protocol.new]["dice"]),
        )
        file = self._file(chain)
        file.parent.mkdir(parents=True, exist_ok=True)
        result = {
            "protocol": protocol.name,
            "scenario": chain.scenario.name,
            "method": chain.method,
            "seed": chain.seed,
            "setting": _setting(chain),
            "before": before,
            "after": after,
            "forgetting": ScoreMatrix((protocol.old, protocol.new), (0, 1), rows).to_json(),
            "first_step": began["step"],
            "second_step": describe(step, watch),
            "environment": environment(self.device),
        }
        write_json(file, result)
        self._keep(work, chain)

    def _first(self, chain: Chain, scans: Scans) -> Path:
        """Return the folder of the first step; who comes first trains it while the others wait."""
        protocol = chain.protocol
        folder = self.out / ".first" / f"{protocol.name}-seed{chain.seed}"
        setting = _first_setting(chain)

        def make(work: Path) -> None:
            shutil.rmtree(work / "model", ignore_errors=True)
            watch = Stopwatch(self.progress, f"{protocol.name} first step, seed {chain.seed}")
            step = learn(
                work / "model",
                scans.first,
                protocol.old,
                method="finetune",  # a first step is the same by every method of the family
                network=protocol.network,
                preset=protocol.preset,
                steps=protocol.steps[0],
                seed=chain.seed,
                device=self.device,
                progress=watch,
            )
            scores = self._evaluate(work / "model", scans.test_old, (protocol.old,), watch)
            write_json(work / "first.json", {"setting": setting, "scores": scores, "step": describe(step, watch)})

        once(self.out, folder, make)
        require_same(read_json(folder / "first.json")["setting"], setting, folder)
        return folder

    def _scores(self, model: Path, chain: Chain, scans: Scans, watch: Stopwatch) -> Json:
        """Score both structures, in one pass where they are measured on the same scans."""
        old, new = chain.protocol.old, chain.protocol.new
        if scans.test_new is scans.test_old:
            return self._evaluate(model, scans.test_old, (old, new), watch)
        scores = self._evaluate(model, scans.test_old, (old,), watch)
        return scores | self._evaluate(model, scans.test_new, (new,), watch)

    def _evaluate(self, model: Path, scans: Dataset, structures: tuple[str, ...], watch: Stopwatch) -> Json:
        found = evaluate(model, scans, structures=", ".join(structures), device=self.device, progress=watch)
        return {name: score.to_json() for name, score in found.structures.items()}

    def _keep(self, work: Path, chain: Chain) -> None:
        """Keep the models of one seed for pictures and remove the others."""
        if chain.seed != _KEPT_SEED:
            shutil.rmtree(work, ignore_errors=True)
            return
        kept = self.out / ".models" / f"{chain.protocol.name}-{chain.scenario.name}-{chain.method}"
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(kept, ignore_errors=True)
        work.rename(kept)

    def _file(self, chain: Chain) -> Path:
        return self.out / chain.protocol.name / f"{chain.name}.json"


def _first_setting(chain: Chain) -> Json:
    protocol = chain.protocol
    return {
        "network": protocol.network,
        "preset": protocol.preset,
        "steps": protocol.steps[0],
        "old": protocol.old,
        "volumes": protocol.first_volumes,
        "test_volumes": protocol.test_volumes,
        "size": list(protocol.size) if protocol.size else None,
    }


def _setting(chain: Chain) -> Json:
    second = {
        "steps": chain.protocol.steps[1],
        "new": chain.protocol.new,
        "volumes": chain.scenario.volumes,
        "scanner": chain.scenario.scanner,
    }
    return {"first": _first_setting(chain), "second": second}

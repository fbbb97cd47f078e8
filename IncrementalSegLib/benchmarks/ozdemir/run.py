"""Ozdemir 2018, Cases 1 to 3, on phantoms and real scans: run what is missing, then write the tables and plots."""

from __future__ import annotations

from pathlib import Path

from IncrementalSegLib.benchmarks.ozdemir.chains import Runner
from IncrementalSegLib.benchmarks.ozdemir.protocols import chains, find_methods, find_protocols
from IncrementalSegLib.benchmarks.ozdemir.summary import write_summary
from IncrementalSegLib.engine.progress import Progress, silent
from IncrementalSegLib.errors import DataError
from IncrementalSegLib.types import Json


def run_ozdemir(
    out: str | Path,
    *,
    seeds: int = 3,
    methods: str | None = None,
    data: str | Path | None = None,
    protocols: str | None = None,
    shard: tuple[int, int] = (1, 1),
    device: str = "auto",
    progress: Progress = silent,
) -> Json:
    """Run the chains that are not finished and write the summary of those that are.

    Args:
        out: Folder of results; may be shared by several processes.
        seeds: Seeds 0, 1, ...
        methods: Comma-separated; all by default.
        data: Folder with the real data sets; only phantoms without it.
        protocols: Comma-separated; by default those that the data allows and that need no GPU.
        shard: Number of this process, from 1, and how many share the work.
        device: ``auto``, ``cpu`` or ``cuda``.
        progress: Receives progress; what it raises ends the run, and finished chains stay.

    Returns:
        ``{"done": chains finished, "left": chains not finished, "table": file}`` over all parts.

    Raises:
        IncrementalSegError: A name is unknown, data is missing, or the folder holds results of other settings.
    """
    out, data = Path(out), Path(data) if data is not None else None
    if data is not None and not data.is_dir():
        raise DataError(f"The folder {data} is not there.", todo="Name the folder that holds the data sets.")
    chosen, named = find_protocols(protocols, data is not None), find_methods(methods)
    runner = Runner(out, data, device, progress)
    for chain in chains(chosen, named, seeds, shard):
        runner.run(chain)
    finished = [runner.is_finished(chain) for chain in chains(chosen, named, seeds)]
    return {"done": sum(finished), "left": finished.count(False), "table": str(write_summary(out))}

"""Run the chains of a protocol that are missing, then write tables and pictures of those that are there."""

from __future__ import annotations

from pathlib import Path

from IncrementalSegLib.benchmarks.ciss.chains import Chain, Runner
from IncrementalSegLib.benchmarks.ciss.protocol import Protocol, deal_structures, find_source
from IncrementalSegLib.benchmarks.ciss.summary import write_summary
from IncrementalSegLib.benchmarks.ciss.variants import find_variants
from IncrementalSegLib.engine.progress import Progress, silent
from IncrementalSegLib.engine.step.presets import find_preset
from IncrementalSegLib.errors import DataError
from IncrementalSegLib.registry import find
from IncrementalSegLib.types import Json


def run_ciss(
    out: str | Path,
    *,
    dataset: str = "btcv",
    data: str | Path | None = None,
    protocol: str | None = None,
    methods: str | None = None,
    seeds: int = 3,
    cases: str = "shared",
    network: str = "unet2d",
    preset: str = "quick",
    steps: int | None = None,
    split: str = "test",
    shard: tuple[int, int] = (1, 1),
    device: str = "auto",
    progress: Progress = silent,
) -> Json:
    """Run the chains that are not finished and write the summary of those that are.

    Args:
        out: Folder of results; may be shared by several processes and by several protocols.
        dataset: ``btcv``, ``spine`` or ``phantom``.
        data: The data set, or the folder that holds it; not needed for phantoms.
        protocol: N1-N2; by default the data set's usual one.
        methods: Comma-separated names, ``METHOD+OPTION=VALUE`` with other options, and the bounds ``offline`` and
            ``separate``; by default everything.
        seeds: Seeds 0, 1, ...
        cases: ``shared`` or ``disjoint`` between the stages.
        network: ``unet2d`` or ``unet3d``.
        preset: ``quick``, ``standard`` or ``paper``.
        steps: Optimiser steps of a stage; by default the data set's usual number.
        split: ``test``, or ``validation`` to choose options without seeing the test.
        shard: Number of this process, from 1, and how many share the work.
        device: ``auto``, ``cpu`` or ``cuda``.
        progress: Receives progress; what it raises ends the run.  Finished chains stay, and one under way goes on
            from its last checkpoint.

    Returns:
        ``{"done": chains finished, "left": chains not finished, "table": file}`` over all parts.

    Raises:
        IncrementalSegError: A name is unknown, data is missing, the protocol does not divide the structures, or the
            folder holds results of other settings.
    """
    source, place = find_source(dataset), Path(data) if data is not None else None
    if place is not None and not place.is_dir():
        raise DataError(f"The folder {place} is not there.", todo="Name the folder that holds the data sets.")
    find_preset(preset, find("network", network).dimension)
    text = protocol or source.protocol
    stages = deal_structures(source.structures, text)
    runner = Runner(
        Protocol(source, text, stages, cases, network, preset, source.steps if steps is None else steps, split),
        Path(out),
        place,
        device,
        progress,
    )
    part, parts = shard
    chains = [Chain(variant, seed) for seed in range(seeds) for variant in find_variants(methods)]
    for chain in chains[part - 1 :: parts]:
        runner.run(chain)
    finished = [runner.is_finished(chain) for chain in chains]
    return {"done": sum(finished), "left": finished.count(False), "table": str(write_summary(out))}

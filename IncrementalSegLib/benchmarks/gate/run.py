"""The benchmark of the gate on real scans: candidates, error rates, and their table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from IncrementalSegLib.benchmarks.gate.candidates import FAMILIES, run_chain
from IncrementalSegLib.benchmarks.gate.rates import DRAWS, KINDS, SIZES, error_rates, held_back, subjects
from IncrementalSegLib.benchmarks.gate.scans import SCANS, Scans
from IncrementalSegLib.benchmarks.tables import table
from IncrementalSegLib.engine.progress import Progress, silent
from IncrementalSegLib.errors import DataError
from IncrementalSegLib.files import read_json, write_bytes, write_json
from IncrementalSegLib.types import DeviceName, Json

SUMMARY = "gate-errors.json"


def run_gate_errors(
    out: str | Path,
    data: str | Path | None,
    *,
    seeds: Sequence[int] = (1, 2, 3),
    device: DeviceName = "auto",
    progress: Progress = silent,
    scans: Sequence[Scans] = SCANS,
    draws: int = DRAWS,
) -> Json:
    """Make the candidates that are missing, and write the rates and their table.

    Args:
        out: Folder of results; a chain whose JSON is there is not made again.
        data: Folder that holds the data sets; ``None``: only the results that are there are counted.
        seeds: Of the chains.
        device: ``auto``, ``cpu`` or ``cuda``.
        progress: Receives progress.
        scans: The data sets.
        draws: Retention sets drawn of each structure and size.

    Returns:
        What ``gate-errors.json`` holds: the rates of all chains together and by family, and the chains.

    Raises:
        DataError: There is no result and no data.
    """
    out = Path(out)
    for seed in seeds if data is not None else ():
        for source in scans:
            for family in FAMILIES:
                if not (out / f"{source.name}-{family}-{seed}.json").exists():
                    run_chain(out, Path(data or ""), source, family, seed, device=device, progress=progress)
    results = [read_json(file) for file in sorted(out.glob("*-*-*.json"))]
    if not results:
        raise DataError(f"{out} holds no results.", todo="Name the folder of the data sets with --data.")
    summary = summarise(results, draws)
    write_json(out / SUMMARY, summary)
    write_bytes(out / "gate-errors.md", as_markdown(summary).encode())
    return summary


def summarise(results: Sequence[Json], draws: int = DRAWS) -> Json:
    """Return the rates of all chains together, by family, by data set and by seed."""
    found = subjects(results)
    held = held_back(found, draws=draws)
    rates = {}
    for name in sorted({group for item in found for group in item.groups}):
        rows = [row for row, item in enumerate(found) if name in item.groups]
        own = {size: [shares[row] for row in rows] for size, shares in held.items()}
        rates[name] = error_rates([found[row] for row in rows], own)
    return {"chains": sorted({item.chain for item in found}), "rates": rates}


def as_markdown(summary: Json) -> str:
    """Return the rates as Markdown: the rule on the drop alone, then the one with witnesses."""
    parts = []
    for group, rates in summary["rates"].items():
        rows = [
            (kind, str(rates[kind][str(SIZES[0])]["subjects"]), *(_cell(rates[kind][str(size)]) for size in SIZES))
            for kind in KINDS
        ]
        header = (
            "%, drop alone → with witnesses",
            "structures",
            *(f"{size} scan{'' if size == 1 else 's'}" for size in SIZES),
        )
        parts.append("\n".join([f"### {group}", "", *table(header, rows)]))
    return "\n\n".join(parts) + "\n"


def _cell(own: Json) -> str:
    if own["alone"]["rate"] is None:
        return "–"
    before, after = (f"{100 * own[rule]['rate']:.1f}" for rule in ("alone", "witnesses"))
    return before if before == after else f"{before} → {after}"

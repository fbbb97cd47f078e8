"""Tables and plots of a paper, from the chains that have finished.

OUT/summary.md             tables, claims and plots; machine and versions
OUT/PROTOCOL-curves.png    Dice over the stages
OUT/GROUP-PLOT.png         plots of a paper
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from IncrementalSegLib.evaluation.intervals import Comparison
from IncrementalSegLib.files import write_bytes
from Testing.benchmarks.archive import read_archive
from Testing.benchmarks.claims import points
from Testing.benchmarks.paper import Paper
from Testing.benchmarks.plots import curve_plot
from Testing.benchmarks.results import Results


def write_summary(out: Path, paper: Paper) -> Path:
    """Write tables and plots from the finished chains of a folder, and return the file with the tables.

    Raises:
        ModelError: A result is damaged, or the folder cannot be written.
        IncrementalSegError: matplotlib is not installed.
    """
    out.mkdir(parents=True, exist_ok=True)
    found = read_results(out, paper)
    text = [paper.introduction]
    for group, results in groupby(found, lambda item: item.protocol.group):
        text.append("\n".join(_part(group, list(results), out, paper)))
    text.append(_made_with(found, paper))
    write_bytes(out / "summary.md", "\n".join(text).encode())
    return out / "summary.md"


def read_results(out: Path, paper: Paper) -> list[Results]:
    """Return the results of every protocol in a folder, as the paper lists them, then by name."""
    chains = list(read_archive(out).values())
    places = {protocol.name: place for place, protocol in enumerate(paper.protocols)}
    names = sorted({chain["protocol"] for chain in chains}, key=lambda name: (places.get(name, len(places)), name))
    return [Results.of(paper.find(name), [chain for chain in chains if chain["protocol"] == name]) for name in names]


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table, and an empty one."""
    lines = [columns, ["---"] * len(columns), *rows]
    return [*(f"| {' | '.join(line)} |" for line in lines), ""]


def gap(found: Comparison | None) -> str:
    """Write a difference for a table."""
    return "–" if found is None else points(found).replace(" points", "")


def listed(values: Iterable[str]) -> str:
    """Return the different values, sorted, with commas."""
    return ", ".join(sorted(set(values)))


def _part(group: str, found: Sequence[Results], out: Path, paper: Paper) -> Iterator[str]:
    yield from (f"## {found[0].protocol.heading}", "")
    for results in found:
        if results.protocol.title:
            yield from (f"### {results.protocol.title}", "")
        yield from (*_setting(results), *paper.tables(results))
        claims = [(claim.text, claim.verdict, claim.figures) for claim in paper.claims(results)]
        if claims:
            yield from ("### What was expected", "", *table(("expected", "verdict", "measured"), claims))
        name = results.protocol.name
        yield from _plot(out, f"{name}-curves", f"{name}: Dice over the stages", curve_plot(results))
    for ending, (title, draw) in paper.plots.items():
        yield from _plot(out, f"{group}{ending}", f"{group}: {title}", draw(found))


def _plot(out: Path, name: str, title: str, plot: bytes | None) -> Iterator[str]:
    if plot is not None:
        write_bytes(out / f"{name}.png", plot)
        yield from (f"![{title}]({name}.png)", "")


def _setting(results: Results) -> list[str]:
    protocol, made = results.protocol, results.chains[0]["setting"]
    steps = listed(str(stage.steps) for stage in protocol.stages)
    own = [str(stage.volumes) for stage in protocol.stages if stage.volumes]
    teach = " and ".join(own) or str(made["teaching"])
    cases = f"{teach} volumes teach ({'disjoint' if protocol.disjoint else 'shared'}), {len(made['test'])} test."
    return [
        f"Stages: {'; '.join(', '.join(stage.structures) for stage in protocol.stages)}.",
        "",
        f"{protocol.network}, preset {protocol.preset}, {steps} optimiser steps a stage; {cases}",
        "",
    ]


def _made_with(found: Sequence[Results], paper: Paper) -> str:
    """Return machine, versions and commits of the results, and the notes of the paper."""
    made = [chain["environment"] for results in found for chain in results.chains]
    if not made:
        return "No chain has finished.\n"
    machine = (listed(one[name] for one in made) for name in ("processor", "device", "precision"))
    lines = [
        f"{len(made)} chains; the last ended at {max(one['finished'] for one in made)}",
        f"{'; '.join(machine)}; torch {listed(one['libraries']['torch'] for one in made)}",
        f"commit {listed(one['commit'] or 'unknown' for one in made)}",
        *paper.notes,
    ]
    return "\n".join(("## Made with", "", *(f"- {line}" for line in lines), ""))

"""A paper: its protocols, tables, claims and plots."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from IncrementalSegLib.errors import UnknownNameError
from Testing.benchmarks import protocols
from Testing.benchmarks.claims import Claim
from Testing.benchmarks.protocol import Protocol
from Testing.benchmarks.results import Results


@dataclass(frozen=True)
class Paper:
    """A paper.

    Attributes:
        introduction: Title and first paragraphs of the summary, in Markdown.
        protocols: The listed protocols; those with the preset ``paper`` need a GPU and are run only by name.
        tables: Returns the tables of a protocol as lines of Markdown.
        claims: Yields the claims about a protocol whose methods have results.
        plots: Ending of the file's name -> title, and what draws it from the results of a group, if there is enough.
        notes: Sentences for the end of the summary.
        read: Returns the protocol that a name describes if it is not listed, or ``None``.
    """

    introduction: str
    protocols: tuple[Protocol, ...]
    tables: Callable[[Results], list[str]]
    claims: Callable[[Results], Iterator[Claim]]
    plots: Mapping[str, tuple[str, Callable[[Sequence[Results]], bytes | None]]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    read: Callable[[str], Protocol | None] = lambda name: None

    def choose(self, names: Sequence[str], *, with_data: bool) -> list[Protocol]:
        """Return protocols by their names, else by that of their group; by default all that the data allows.

        Raises:
            UnknownNameError: No such protocol.
        """
        if not names:
            return [item for item in self.protocols if item.preset != "paper" and (with_data or not item.data.folder)]
        return [protocol for name in names for protocol in self._named(name)]

    def find(self, name: str) -> Protocol:
        """Return the protocol of a result."""
        return next(protocol for protocol in self._named(name) if protocol.name == name)

    def _named(self, name: str) -> list[Protocol]:
        named = [item for item in self.protocols if item.name == name]
        found = named or [item for item in self.protocols if item.group == name]
        described = None if found else self.read(name)
        if not found and described is None:
            raise UnknownNameError("protocol", name, [item.name for item in self.protocols])
        return found or [described] if described else found


def find_paper(name: str) -> Paper:
    """Return a paper by the name of its file in ``protocols``.

    Raises:
        UnknownNameError: There is none.
    """
    known = sorted(file.stem for file in Path(protocols.__path__[0]).glob("[!_]*.py"))
    if name not in known:
        raise UnknownNameError("paper", name, known)
    paper: Paper = import_module(f"{protocols.__name__}.{name}").PAPER
    return paper

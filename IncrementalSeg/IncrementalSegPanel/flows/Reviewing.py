"""Review the exemplars: which pieces of scans the model keeps, why, and whether to keep any."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from IncrementalSegLib.types import Json
from IncrementalSegLib.wire.events import Failed
from IncrementalSegPanel.documents.Exemplars import CoverageCurves, ListedExemplar, ledgerSentences
from IncrementalSegPanel.flows.Context import Context
from IncrementalSegPanel.flows.Jumping import jump, obstacleToJump
from IncrementalSegPanel.State import State
from IncrementalSegPanel.Translation import _

SIZE = 192
"""Pixels of a thumbnail: twice what the board shows, for fine screens."""


class Reviewing:
    """The exemplars of the version in use.

    Attributes:
        exemplars: All of them; ``None`` until they are read.
        thumbnails: Id -> PNG, as far as they are drawn.
        coverage: By structure, how much of what was seen of it the exemplars stand for.
        bytes: Size of all pixels.
        budget: Limit of their number, or ``None`` while there is none.
        ledger: What the model holds of patients, in sentences.
        structure: Name of the structure that is shown; empty: all.
        chosen: Id of the exemplar that is looked at; empty while none is.
        strip: A person wants no pieces of scans to be kept.
        doing: What is being done, in words; empty while nothing is.
        saved: What was done last, in words; empty while nothing was.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self.forget()

    def forget(self) -> None:
        """Know nothing of a model."""
        self.exemplars: tuple[ListedExemplar, ...] | None = None
        self.thumbnails: dict[str, Path] = {}
        self.coverage: list[CoverageCurves] = []
        self.bytes = 0
        self.budget: int | None = None
        self.ledger: list[str] = []
        self.structure = self.chosen = self.doing = self.saved = ""
        self.strip = False

    def show(self) -> None:
        """Show the exemplars of the model."""
        if self._context.may(State.REVIEWING):
            self.forget()
            self._context.go(State.REVIEWING)
            self._read()

    def offer(self) -> None:
        """After comparing: show the exemplars where the model holds any, else go back to the beginning."""
        self.forget()
        self._ask("exemplars", {}, self._offered)

    @property
    def shown(self) -> list[ListedExemplar]:
        """The exemplars of the structure that is shown, the best first, banned ones last."""
        found = [item for item in self.exemplars or () if not self.structure or self.structure in item.structures]
        return sorted(found, key=lambda item: (item.mark == "banned", item.best(self.structure)))

    @property
    def structures(self) -> list[str]:
        """Names of the structures that have exemplars."""
        return list(dict.fromkeys(name for item in self.exemplars or () for name in item.structures))

    @property
    def exemplar(self) -> ListedExemplar | None:
        """The one that is looked at."""
        return next((item for item in self.exemplars or () if item.id == self.chosen), None)

    @property
    def obstacleToMark(self) -> str:
        """Why nothing can be done with an exemplar now; empty where it can."""
        return self.doing or ("" if self.exemplar is not None else _("Choose a picture first."))

    @property
    def obstacleToJump(self) -> str:
        """Why the scan of the exemplar cannot be shown; empty where it can."""
        if self.exemplar is None:
            return _("Choose a picture first.")
        return obstacleToJump(self._context, self.exemplar.place)

    def filter(self, structure: str) -> None:
        """Show one structure; empty: all."""
        self.structure = structure
        if self.chosen not in [item.id for item in self.shown]:
            self.chosen = ""
        self._context.changed()

    def choose(self, exemplar: str) -> None:
        """Look at one."""
        self.chosen = exemplar
        self._context.changed()

    def pin(self) -> None:
        """Keep the chosen one whatever the budget, or stop doing so."""
        self._mark("pin", "pinned")

    def ban(self) -> None:
        """Never rehearse the chosen one, so that the next in line takes its place; or lift that."""
        self._mark("ban", "banned")

    def limit(self, total: int) -> None:
        """Keep at most so many, now and after later steps."""
        self._edit("budget", {"total": total})

    def choosePrivacy(self, strip: bool) -> None:
        """Keep pieces of scans, or none."""
        self.strip = strip
        self._context.changed()

    def decide(self) -> None:
        """Keep what is shown, or take all pieces of scans out of every version."""
        if self.doing or self._context.state is not State.REVIEWING:
            return
        if self.strip and self.exemplars:
            self.doing = _("Removing…")
            self._ask("strip", {}, self._stripped)
            self._context.changed()
        else:
            self._context.home()

    def jump(self) -> None:
        """Show the slice of the chosen one in Slicer's own views."""
        assert self.exemplar is not None
        assert self.exemplar.place is not None
        jump(self._context, self.exemplar.place)

    def _mark(self, verb: str, mark: str) -> None:
        assert self.exemplar is not None
        self._edit(verb, {"exemplar": self.chosen, "on": self.exemplar.mark != mark})

    def _edit(self, verb: str, arguments: Json) -> None:
        if not self.doing:
            self.doing = _("Saving…")
            self._ask(verb, arguments, self._edited)
            self._context.changed()

    def _edited(self, record: Json) -> None:
        self.saved = _("Saved as version {number}; the versions before are as they were.").format(
            number=record["number"]
        )
        self._context.refresh()
        self._read()

    def _stripped(self, found: Json) -> None:
        self.forget()
        self.saved = _("Removed {exemplars} pieces of scans and {copies} copied scans from all versions.").format(
            exemplars=found["exemplars"], copies=found["copied_scans"]
        )
        self._context.refresh()
        self._read()

    def _offered(self, overview: Json) -> None:
        if self._context.state is not State.COMPARING:  # a person went on to something else meanwhile
            return
        if overview["exemplars"]:
            self._context.go(State.REVIEWING)
            self._take(overview)
        else:
            self._context.home()

    def _read(self) -> None:
        self._ask("exemplars", {}, self._take)

    def _take(self, overview: Json) -> None:
        self.doing = ""
        self.exemplars = tuple(ListedExemplar.of(item) for item in overview["exemplars"])
        self.bytes, self.budget = overview["bytes"], overview["budget"]
        self.coverage = CoverageCurves.listOf(overview)
        if any(item.id not in self.thumbnails for item in self.exemplars):
            output = self._context.folders.temporary / "exemplars"
            self._ask("thumbnails", {"output": str(output), "size": SIZE}, self._draw)
        self._ask("privacy", {}, self._tell)

    def _draw(self, found: Json) -> None:
        self.thumbnails |= {key: Path(path) for key, path in found["thumbnails"].items()}

    def _tell(self, ledger: Json) -> None:
        self.ledger = ledgerSentences(ledger)

    def _ask(self, verb: str, arguments: Json, done: Callable[[Json], None]) -> None:
        folder = self._context.folder

        def heard(found: Json) -> None:
            if self._context.folder == folder:  # else another model was opened meanwhile
                done(found)

        def failed(error: Failed) -> None:
            self.doing = ""
            self._context.fail(error)

        self._context.ask(verb, {"model": str(folder)} | arguments, heard, failed=failed)

"""Make a model of a network that another program trained; what it holds is shown before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from IncrementalSegLib.errors import OptionError
from IncrementalSegLib.names import name_key
from IncrementalSegLib.structures import BACKGROUND, check_name
from IncrementalSegLib.types import Json
from IncrementalSegLib.wire.events import Failed
from IncrementalSegPanel.documents.Adoptable import Adoptable, AdoptableNetwork
from IncrementalSegPanel.documents.Heads import KnownStructure
from IncrementalSegPanel.flows.Activity import Activity
from IncrementalSegPanel.flows.Context import Context
from IncrementalSegPanel.flows.Opening import Opening
from IncrementalSegPanel.Names import folderName
from IncrementalSegPanel.State import State
from IncrementalSegPanel.Translation import _

_WHOLE = (0.0, 1.0)


class Adopting(Activity):
    """From a folder of another program to a model that is open.

    Args:
        context: Whose model it becomes.
        opening: Knows which names are free, and opens it.

    Attributes:
        folder: What was chosen.
        networks: The networks in it, by names that suit a model; empty while that is not known.
        chosen: The one that is read, or was read last.
        network: What it is; ``None`` until it has been read.
        name: Of the new model.
        renamed: Name of a structure -> the name that it gets instead.
    """

    def __init__(self, context: Context, opening: Opening) -> None:
        super().__init__(context)
        self._opening = opening
        self._before = State.NO_MODEL
        self.folder = Path()
        self.networks: dict[str, Path] = {}
        self.chosen, self.name = "", ""
        self.network: AdoptableNetwork | None = None
        self.renamed: dict[str, str] = {}

    @property
    def obstacle(self) -> str:
        """Why no model can be made yet; empty where one can."""
        if self.phase:
            return _("Wait until this is done, or cancel it.")
        if self.network is None:
            return _("Choose one of the networks first.")
        return self._opening.obstacleToName(self.name)

    def begin(self, folder: Path) -> None:
        """Read what a folder holds, and show it."""
        if not self._context.may(State.ADOPTING):
            return
        self._before = self._context.state
        self.folder, self.networks, self.network = folder, {}, None
        self.chosen, self.name = "", ""
        self._context.go(State.ADOPTING)
        self._look(folder)

    def choose(self, name: str) -> None:
        """Read one of several networks."""
        if name in self.networks and not self.phase and (name != self.chosen or self.network is None):
            self.chosen, self.network = name, None
            self._context.dismiss()
            self._look(self.networks[name])

    def setName(self, name: str) -> None:
        """Choose the name of the new model."""
        self.name = name
        self._context.changed()

    @property
    def heads(self) -> tuple[KnownStructure, ...]:
        """The structures as they will be called; what another name means is not known yet."""
        heads = () if self.network is None else self.network.heads
        return tuple(
            replace(head, name=self.renamed[head.name], meaning="") if head.name in self.renamed else head
            for head in heads
        )

    def rename(self, number: int, name: str) -> None:
        """Call a structure of the list, from 0, by another name; one that cannot be is refused in a sentence."""
        heads = self.heads
        if self.network is None or self.phase or name == heads[number].name:
            return
        self._context.dismiss()
        old = self.network.heads[number].name
        others = (BACKGROUND, *(head.name for place, head in enumerate(heads) if place != number))
        try:
            name = check_name(name)
            if name_key(name) in map(name_key, others):
                raise OptionError(
                    _("The name {name} is taken already.").format(name=name), todo=_("Choose another name.")
                )
        except OptionError as error:
            self._context.fail(error)
        else:
            self.renamed = {key: value for key, value in (self.renamed | {old: name}).items() if key != value}
        self._context.changed()

    def adopt(self) -> None:
        """Make the model, and open it."""
        if self.obstacle:
            return
        self._context.dismiss()
        model = self._opening.folderOf(self.name)
        wanted: Json = {"folder": str(self.networks[self.chosen]), "model": str(model)}
        if self.renamed:
            wanted["names"] = self.renamed
        self._ask("adopt", wanted, _WHOLE, lambda _summary: self._made(model))

    def leave(self) -> None:
        """Cancel what is under way, and go back."""
        self._giveUp(self._back)

    def _look(self, folder: Path) -> None:
        self._ask("adoptable", {"folder": str(folder)}, _WHOLE, self._read)

    def _read(self, result: Json) -> None:
        found = Adoptable.of(result)
        self.networks = self.networks or found.networks
        self.network, self.renamed = found.network, {}
        if found.network is not None:
            (suggested,) = found.networks
            self.chosen = self.chosen or suggested
            self.name = self._opening.free(folderName(suggested)).name
        self._say("")

    def _made(self, model: Path) -> None:
        self._back()
        self._opening.open(model)

    def _stop(self, error: Failed | BaseException | None = None) -> None:
        """Say what went wrong, where another network or name can be chosen."""
        self._say("")
        if not self.networks:
            self._back()
        if error is not None:
            self._context.fail(error)

    def _back(self) -> None:
        self._say("")
        if self._context.state is State.ADOPTING:
            self._context.go(self._before)

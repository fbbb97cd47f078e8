"""A folder of another program in the words of the panel: its networks, or the only one and its form."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from IncrementalSegLib.types import Json
from IncrementalSegPanel.documents.Heads import KnownStructure, headsOf
from IncrementalSegPanel.Translation import _


@dataclass(frozen=True)
class AdoptableNetwork:
    """A network that can become a model.

    Attributes:
        sentences: What a person should know before it becomes a model.
        outlines: Says what it outlines, above the list.
        heads: Its structures.
    """

    sentences: tuple[str, ...]
    outlines: str
    heads: tuple[KnownStructure, ...]


@dataclass(frozen=True)
class Adoptable:
    """A folder of another program.

    Attributes:
        program: Its name.
        networks: A name that suits a model -> folder.
        network: The only network, as it was read; ``None`` where there are several.
    """

    program: str
    networks: dict[str, Path]
    network: AdoptableNetwork | None

    @classmethod
    def of(cls, found: Json) -> Adoptable:
        """Read the result of ``adoptable``."""
        return cls(
            program=found["program"],
            networks={item["name"]: Path(item["folder"]) for item in found["networks"]},
            network=None if found["network"] is None else _network(found["network"]),
        )


def _network(found: Json) -> AdoptableNetwork:
    said = [_trained(found["origin"]), _seen(found)]
    if len(found["origin"]["folds"]) > 1:
        count = len(found["origin"]["folds"])
        said.append(_("{} folds are averaged, which takes {} times as long as one.").format(count, count))
    terms = found["origin"].get("license")
    said.append(
        _("Terms of use: {}").format(terms)
        if terms
        else _("The folder states no terms of use; look them up before you pass the model on.")
    )
    said.append(
        _("No scans come along. Structures taught later with adapters or a decoder leave the adopted ones unchanged.")
    )
    return AdoptableNetwork(tuple(said), _outlined(found), tuple(headsOf(found)))


def _trained(origin: Json) -> str:
    if not origin["folds"]:  # of a bundle
        return f"{origin['program']}, {origin['configuration']}."
    text = _("{program}, {configuration}, trained by {trainer} ({folds}).")
    folds = ", ".join(origin["folds"])
    fold = _("fold {}").format(folds) if len(origin["folds"]) == 1 else _("folds {}").format(folds)
    return text.format(
        program=origin["program"], configuration=origin["configuration"], trainer=origin["trainer"], folds=fold
    )


def _seen(found: Json) -> str:
    channels = ", ".join(found["origin"]["channels"])
    sizes = [f"{size:.3g}" for size in found["spacing"] if size is not None]
    if len(sizes) < found["dimension"]:
        text = (
            _("Sees slices at their own spacing: {}.")
            if found["dimension"] == 2
            else _("Sees volumes at their own spacing: {}.")
        )
        return text.format(channels)
    text = _("Sees slices at {} mm: {}.") if found["dimension"] == 2 else _("Sees volumes at {} mm: {}.")
    return text.format(" × ".join(sizes[-found["dimension"] :]), channels)


def _outlined(found: Json) -> str:
    if len(found["structures"]) == 1:
        return _("It outlines one structure (double-click to rename it):")
    text = (
        _("It outlines {} structures, which may overlap (double-click to rename one):")
        if found["overlapping"]
        else _("It outlines {} structures (double-click to rename one):")
    )
    return text.format(len(found["structures"]))

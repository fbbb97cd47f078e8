"""The request of a step, checked before scans are read or anything is written."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from IncrementalSegLib.engine.carried import can_rehearse, without_memory, without_prototype
from IncrementalSegLib.engine.choice import choose_method
from IncrementalSegLib.engine.history import History, without_forgotten
from IncrementalSegLib.engine.settings import StepSettings, teachable_networks
from IncrementalSegLib.engine.step.judges import Judges, find_judges
from IncrementalSegLib.engine.step.remembering import descriptor_weights
from IncrementalSegLib.engine.step.unlabelled import find_unlabelled, warn_of_forgetting
from IncrementalSegLib.errors import CommandRef, Hint, MissingNeedError, ModelError, OptionError, OptionRef
from IncrementalSegLib.methods.base.method import Method
from IncrementalSegLib.networks.text import SEEDED, TextEmbedding, text_embeddings
from IncrementalSegLib.options import refusal
from IncrementalSegLib.progress import Phase, Progress, silent
from IncrementalSegLib.registry import find, names
from IncrementalSegLib.sampling.cases import Case, Dataset
from IncrementalSegLib.sampling.joint import Data, Wanted, open_joint
from IncrementalSegLib.store.versions import ModelFolder, VersionRecord, create_or_open
from IncrementalSegLib.structures import Structure, StructureList, StructureSpec
from IncrementalSegLib.types import StructureId

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StepRequest:
    """A step that can be done.

    Attributes:
        target: Where the new version is written; the first step creates the folder.
        folder: The opened model, or ``None`` at the first step.
        parent: Record of the version that the step starts from, or ``None``.
        method: The method with its options.
        structures: All structures after the step, in the model's order.
        taught: Uuids that the step teaches or improves.
        structure_of: Label name in the data -> uuid.
        cases: The cases, each restricted to what the step looks for.
        network: Registered name of the trunk.
        history: The steps before.
        weights: Weights of the descriptor that compares content, or ``None`` for the trunk.
        unlabelled: Cases of earlier domains without labels, for methods that draw them.
        judges: Scans that judge older structures in the gate.
        text: Text embedding of each new structure, where the method reads names.
        why: Reasons for the method, where nobody named one.
        id: Uuid of the step as 32 hexadecimal digits; a resumed step keeps it.
    """

    target: ModelFolder
    folder: ModelFolder | None
    parent: VersionRecord | None
    method: Method[Any]
    structures: StructureList
    taught: tuple[StructureId, ...]
    structure_of: dict[str, StructureId]
    cases: Dataset
    network: str
    history: History
    weights: Path | None
    unlabelled: tuple[Case, ...] = ()
    judges: Judges = field(default_factory=Judges)
    text: Mapping[StructureId, TextEmbedding] = field(default_factory=dict)
    why: tuple[str, ...] = ()
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def step(self) -> int:
        """Number of the step, from 1; improvements count."""
        return self.history.number + 1

    @property
    def judging(self) -> History:
        """The history whose held-out scans judge in the gate: with those of ``judges``."""
        return self.history.with_judges(self.judges.entries)


def resolve(
    model: str | Path | ModelFolder,
    data: Data | Sequence[Data],
    structures: Wanted | Sequence[Wanted],
    settings: StepSettings | None = None,
    *,
    cases: Sequence[str] | None = None,
    identities: Sequence[Structure] = (),
    why: Sequence[str] = (),
    judges: Judges | None = None,
    progress: Progress = silent,
) -> StepRequest:
    """Check a request against the model and the data; a model that is already locked is passed as its folder.

    Without a method :func:`~IncrementalSegLib.engine.choice.choose_method` looks at the scans and chooses one.  A
    resumed step passes the ids of its ``cases`` (in a text, an id could be taken for two or for a file), as
    ``identities`` the new structures as they were when it began, and as ``why`` and ``judges`` the reasons and the
    judging scans of then.

    Raises:
        IncrementalSegError: Anything named is unknown, already known, does not fit or is missing.
    """
    asked = settings or StepSettings()
    _check_names(asked)
    opened = model if isinstance(model, ModelFolder) else create_or_open(model)
    folder = opened if opened.current else None
    parent = folder.record() if folder is not None else None
    known = parent.structures if parent is not None else StructureList()
    history = History.of(folder) if folder is not None else History()
    chosen_cases = asked.cases if cases is None else cases
    dataset, wanted, meanings = open_joint(data, structures, chosen_cases, accept_grid=asked.accept_grid)
    taught, listing = _taught(wanted, known, history.number + 1, asked.improve, identities)
    dataset = without_forgotten(dataset, history)
    method = asked.method
    if method is None:
        choice = choose_method(opened, dataset.cases, lambda *_: progress(Phase.READING, 0.0))
        # Scans that the model cannot take are refused by whoever reads them, with the scan and the value named.
        method, why = choice.method or "finetune", choice.reasons
    chosen = build_method(method, asked.options)
    find("output", chosen.output).require_room(len(listing))
    if parent is not None:
        check_fit(chosen, parent, folder, asked.network, [item for item in taught if item.name in known])
        _warn_of_lost_guarantee(chosen, parent)
    if asked.improve and asked.unlabelled is None and chosen.draws_unlabelled:
        warn_of_forgetting([item.name for item in taught])
    if judges is None:
        judges = find_judges(asked, known, dataset.cases, history, guaranteed=chosen.guarantees)
    network = asked.network or (parent.architecture["config"]["network"] if parent is not None else "unet2d")
    if find("network", network).adopted and parent is None:
        raise OptionError(
            f"The network {network} cannot be taught from the start.",
            "Its form comes from a model that was adopted.",
            Hint("Choose another ", OptionRef("network"), f": {', '.join(teachable_networks())}."),
        )
    return StepRequest(
        target=opened,
        folder=folder,
        parent=parent,
        method=chosen,
        structures=listing,
        taught=tuple(item.id for item in taught),
        structure_of={label: listing.named(name).id for label, name in meanings.items()},
        cases=dataset,
        network=network,
        history=history,
        weights=descriptor_weights(chosen.options),
        unlabelled=find_unlabelled(asked.unlabelled, chosen, history.with_judges(judges.entries)),
        judges=judges,
        text=_text(chosen, [item for item in taught if item.name not in known], asked.text_embeddings, parent),
        why=tuple(why),
    )


def _check_names(asked: StepSettings) -> None:
    """Refuse the name of a method or network that does not exist, before anything is read.

    Raises:
        UnknownNameError: There is none of that name.
    """
    if asked.method is not None:
        find("method", asked.method)
    if asked.network is not None:
        find("network", asked.network, teachable_networks())


def build_method(name: str, options: Mapping[str, Any]) -> Method[Any]:
    """Build a method from its name and options; values may be text.

    Raises:
        UnknownNameError: No such method.
        OptionError: No such option, or a value that it cannot have.
    """
    kind: type[Method[Any]] = find("method", name)
    try:
        return kind(kind.Options.model_validate(dict(options)))
    except ValidationError as error:
        raise refusal(error, kind.Options.model_fields, name) from None


def _taught(
    wanted: Sequence[StructureSpec], known: StructureList, number: int, improve: bool, identities: Sequence[Structure]
) -> tuple[list[Structure], StructureList]:
    """Return the structures of the step and the model's list after it."""
    if improve:
        return [known.named(request.name) for request in wanted], known
    for request in wanted:
        if request.name in known:
            raise ModelError(
                f"The model already knows {known.named(request.name).name!r}.",
                "A structure is taught once and improved afterwards.",
                Hint("Add ", OptionRef("improve", True), ", or teach it under another name (NEW NAME=LABEL IN DATA)."),
            )
    same = {item.name: item for item in identities}
    fresh = [same.get(request.name) or request.create(number) for request in wanted]
    return fresh, known.with_new(fresh)


def _text(
    method: Method[Any], fresh: Sequence[Structure], table: str | Path | None, parent: VersionRecord | None
) -> dict[StructureId, TextEmbedding]:
    """Return the text embeddings of new structures for a method that reads names."""
    if not method.reads_names:
        if table is not None:
            reading = ", ".join(name for name in names("method") if find("method", name).reads_names)
            raise OptionError(
                f"The method {method.registered_name!r} does not read names.",
                todo=Hint("Leave out ", OptionRef("text_embeddings"), f", or choose another method ({reading})."),
            )
        return {}
    if table is not None and not fresh:
        raise OptionError(
            "The step teaches no new structure, so no text embedding would be read.",
            "Known structures keep those that they were taught with.",
            Hint("Leave out ", OptionRef("text_embeddings"), "."),
        )
    found = text_embeddings([item.name for item in fresh], None if table is None else Path(table))
    own = {embedding.source for embedding in found.values()}
    placed = parent.architecture.get("output", {}).values() if parent is not None else ()
    older = {entry["source"] for entry in placed} - {SEEDED}
    if older and own - older:
        log.warning(
            "The names of the new structures are embedded by %s, those of older ones by %s: that two of them are alike "
            "says nothing. %s gives the table that the older ones came from.",
            " and ".join(sorted(own)),
            " and ".join(sorted(older)),
            OptionRef("text_embeddings"),
        )
    return {item.id: found[item.name] for item in fresh}


def check_fit(
    method: Method[Any],
    parent: VersionRecord,
    folder: ModelFolder | None,
    network: str | None = None,
    improved: Sequence[Structure] = (),
) -> None:
    """Refuse a method that cannot continue from a version.

    Args:
        method: The method.
        parent: The version.
        folder: Its model, where the needs of the method are to be met.
        network: The network asked for, if any.
        improved: Known structures that are to be improved.

    Raises:
        ModelError: The model has another form of output, or another network, or the method cannot improve a structure.
        MissingNeedError: The model lacks exemplars, prototypes or memory that the method needs.
    """
    name = method.registered_name
    if method.output not in parent.outputs:
        fitting = f"{' or '.join(parent.outputs)} ({', '.join(_families(parent.outputs))})"
        mixed = parent.output not in parent.outputs
        raise ModelError(
            f"The method {name!r} makes {method.output}, the model has {parent.output}{' and heads' * mixed}.",
            "It would not hold the structures that have heads beside the softmax."
            if mixed
            else "The form of the output is fixed by a model's first step.",
            f"Choose one that makes {fitting}, or start another model.",
        )
    own = parent.architecture["config"]["network"]
    if network not in (None, own):
        raise ModelError(
            f"The model's network is {own}, not {network}.",
            todo=Hint("Leave out ", OptionRef("network"), ", or start another model."),
        )
    method.check(parent.architecture, improved)
    if folder is not None:
        _check_needs(method, folder)


def _warn_of_lost_guarantee(method: Method[Any], parent: VersionRecord) -> None:
    """Say that a step trains what branches share."""
    if parent.architecture.get("branches") and not method.guarantees:
        log.warning(
            "The method %s trains the trunk that older structures share with the branches of decoder or adapter: this "
            "step guarantees nothing, and the gate measures what is kept.",
            method.registered_name,
        )


def _check_needs(method: Method[Any], folder: ModelFolder) -> None:
    """Refuse a method without the exemplars, prototypes or memory that it cannot keep old structures without."""
    name = method.registered_name
    again = CommandRef("remember", {"model": str(folder.path), "data": "OLD_DATA", "method": name})
    if "exemplars" in method.required() and not can_rehearse(folder):
        raise MissingNeedError(
            f"The method {name!r} rehearses exemplars, and the model holds none.",
            "They were not kept or have been removed.",
            Hint(
                f"Choose {'lwfseg' if method.output == 'heads' else 'mib'}, or make them from the old scans: ",
                again,
                ".",
            ),
        )
    if "prototypes" in method.required() and (missing := without_prototype(folder)):
        raise MissingNeedError(
            f"The method {name!r} needs the mean features of every known structure; {', '.join(missing)}: none.",
            "They were removed with the scans behind them, or the model was adopted without scans.",
            Hint("Choose mib, or make them from the old scans: ", again, "."),
        )
    for item in sorted(need.removeprefix("memory:") for need in method.required() if need.startswith("memory:")):
        if missing := without_memory(folder, method.key(item)):
            raise MissingNeedError(
                f"The method {name!r} needs its own {item} of every known structure; {', '.join(missing)}: none.",
                "A step with another method does not compute it.",
                Hint("Choose another method, or compute it from the old scans: ", again, "."),
            )


def _families(outputs: Sequence[str]) -> list[str]:
    """Return the methods that make one of these forms of output."""
    return [name for name in names("method") if find("method", name).output in outputs]

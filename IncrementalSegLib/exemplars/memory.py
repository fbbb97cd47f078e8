"""Exemplars of earlier steps, the reasons for keeping each, and the order in which a budget cuts them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from IncrementalSegLib.errors import ModelError, UnknownNameError
from IncrementalSegLib.sampling.batch import PreparedCase
from IncrementalSegLib.types import Json, StructureId

Order = Literal["abstraction", "content", "random"]
ORDERS: tuple[Order, ...] = get_args(Order)

_Ranks = Mapping[str, Mapping[Order, int]]
_Gains = Mapping[str, Mapping[Order, float]]


def background_of(structure: StructureId) -> str:
    """Return the key under which exemplars of a structure's background are ranked (``official2019``)."""
    return f"background:{structure}"


@dataclass(frozen=True)
class Exemplar:
    """Why one slice or crop is kept; its pixels are in :class:`ExemplarMemory`.

    Mappings are by structure uuid, or :func:`background_of` one.

    Attributes:
        id: Ten hexadecimal digits at random, so that nobody finds a case by trying names; nothing is computed of it.
        case: Name of the case.
        patient: Name of the patient.
        step: Number of the step that chose it first.
        start: First voxel along D, H, W of the prepared case; the slice index is ``start[0]``.
        size: Voxels along D, H, W.
        looked_for: Uuids that were looked for in the case.
        present: Uuids outlined in it.
        ranks: Place in each order, from 1.
        gains: Fraction of the set that it added in each order, 0..1.
        certainty: Its uncertainty score; small is certain.
        reasons: For people, for example ``certainty rank 3 of 120, adds 4.1 % coverage``.
        sha256: Of its pixels.
        labelled: Its masks are kept.
        pinned: A person wants it kept.
        banned: A person wants it never used.
        position: Middle of what is outlined in it: x, y, z in mm, LPS, of the scan; ``None`` where the place of the
            case is unknown.
    """

    id: str
    case: str
    patient: str
    step: int
    start: tuple[int, int, int]
    size: tuple[int, int, int]
    looked_for: tuple[StructureId, ...]
    present: tuple[StructureId, ...]
    ranks: _Ranks
    gains: _Gains
    certainty: Mapping[str, float]
    reasons: Mapping[str, str]
    sha256: str
    labelled: bool
    pinned: bool = False
    banned: bool = False
    position: tuple[float, float, float] | None = None

    @property
    def place(self) -> tuple[str, tuple[int, ...], tuple[int, ...], str]:
        """Identity of the pixels, the same whichever step chose them."""
        return self.case, self.start, self.size, self.sha256

    @property
    def reason(self) -> str:
        """All reasons in one line."""
        return "; ".join(dict.fromkeys(self.reasons.values()))

    def joined(self, new: Exemplar) -> Exemplar:
        """Return this exemplar with what a later step says of the same pixels."""
        return replace(
            self,
            looked_for=tuple(dict.fromkeys((*self.looked_for, *new.looked_for))),
            present=tuple(dict.fromkeys((*self.present, *new.present))),
            ranks={**self.ranks, **new.ranks},
            gains={**self.gains, **new.gains},
            certainty={**self.certainty, **new.certainty},
            reasons={**self.reasons, **new.reasons},
            labelled=self.labelled or new.labelled,
            pinned=(self.pinned or new.pinned) and not self.banned,
        )

    def without_structure(self, structure: StructureId) -> Exemplar:
        """Return this exemplar without the entries of one structure."""
        keys = {structure, background_of(structure)}
        return replace(
            self,
            looked_for=tuple(item for item in self.looked_for if item != structure),
            present=tuple(item for item in self.present if item != structure),
            ranks={key: value for key, value in self.ranks.items() if key not in keys},
            gains={key: value for key, value in self.gains.items() if key not in keys},
            certainty={key: value for key, value in self.certainty.items() if key not in keys},
            reasons={key: value for key, value in self.reasons.items() if key not in keys},
        )

    def to_json(self) -> Json:
        """Return the exemplar as a JSON object."""
        plain = {name: getattr(self, name) for name in _PLAIN}
        lists = {name: list(getattr(self, name)) for name in _TUPLES}
        flat = {name: dict(getattr(self, name)) for name in ("certainty", "reasons")}
        nested = {name: {key: dict(by) for key, by in getattr(self, name).items()} for name in ("ranks", "gains")}
        position = None if self.position is None else list(self.position)
        return {**plain, **lists, **flat, **nested, "position": position}

    @classmethod
    def from_json(cls, data: Json) -> Exemplar:
        """Rebuild an exemplar from :meth:`to_json`."""
        values: dict[str, Any] = {**data, **{name: tuple(data[name]) for name in _TUPLES}}
        if data["position"] is not None:
            values["position"] = tuple(data["position"])
        return cls(**values)


_PLAIN = ("id", "case", "patient", "step", "sha256", "labelled", "pinned", "banned")
_TUPLES = ("start", "size", "looked_for", "present")


@dataclass(frozen=True)
class ExemplarMemory:
    """Exemplars with their pixels; every change returns a new memory.

    Attributes:
        items: Exemplars, oldest step first.
        scans: Exemplar id -> its pixels as a small prepared case (one slice or crop).  Masks may be
            missing; of a banned exemplar everything may be missing.
        limit: The budget, which later steps keep to; ``None``: no limit.
    """

    items: tuple[Exemplar, ...] = ()
    scans: Mapping[str, PreparedCase] = field(default_factory=dict)
    limit: int | None = None

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Exemplar]:
        return iter(self.items)

    @property
    def is_empty(self) -> bool:
        """Whether no exemplar can be used."""
        return all(item.banned for item in self.items)

    @property
    def storage_bytes(self) -> int:
        """Bytes of all pixels and masks."""
        return sum(map(self.bytes_of, self.scans))

    def bytes_of(self, id: str) -> int:  # noqa: A002
        """Return the bytes of the pixels and masks of one exemplar; 0 where they were deleted."""
        return sum(tensor.nbytes for tensor in _tensors(self.scans[id]).values()) if id in self.scans else 0

    def count(self, structure: StructureId | None = None) -> int:
        """Return the number of exemplars that can be rehearsed; of those that show a structure, where one is named."""
        usable = (item for item in self.items if not item.banned and item.id in self.scans)
        return sum(structure is None or structure in item.present for item in usable)

    def by_id(self, id: str) -> Exemplar:  # noqa: A002
        """Return one exemplar by its id, or by the beginning of it where no other begins so.

        Raises:
            UnknownNameError: No exemplar, or more than one, has such an id.
        """
        found = [item for item in self.items if id and item.id.startswith(id)]
        if len(found) == 1:
            return found[0]
        why = f"{len(found)} begin so." if found else ""
        raise UnknownNameError("exemplar", id, (item.id for item in self.items), why)

    def take(
        self, order: Order, structures: Sequence[StructureId], per_structure: int | None = None
    ) -> list[PreparedCase]:
        """Return what a method rehearses: the union over structures of the first exemplars in its order.

        Pinned exemplars of these structures come first and always; banned ones never come.

        Args:
            order: ``abstraction``, ``content`` or ``random``.
            structures: Uuids.
            per_structure: Rank cut; all by default.
        """
        queues = [self._queue(key, order) for item in structures for key in (item, background_of(item))]
        pinned = [item for queue in queues for item in queue if item.pinned]
        rest = [item for queue in queues for item in queue[:per_structure]]
        return [self.scans[id] for id in dict.fromkeys(item.id for item in (*pinned, *rest))]  # noqa: A001

    def pin(self, id: str, on: bool = True) -> ExemplarMemory:  # noqa: A002
        """Keep one exemplar whatever the budget, or stop doing so; lifts a ban.

        Raises:
            IncrementalSegError: There is no such exemplar (:meth:`by_id`), or its pixels are gone.
        """
        target = self.by_id(id)
        if on and target.id not in self.scans:
            raise ModelError(f"The pixels of exemplar {target.id} were deleted.", todo="Choose it again from its scan.")
        return self._with(replace(target, pinned=on, banned=target.banned and not on))

    def ban(self, id: str, on: bool = True) -> ExemplarMemory:  # noqa: A002
        """Never use one exemplar again, or lift that; lifts a pin; its pixels stay until :meth:`budget` deletes them.

        Raises:
            ModelError: A ban is to be lifted but the pixels are gone.
        """
        target = self.by_id(id)
        if not on and target.id not in self.scans:
            raise ModelError(f"The pixels of exemplar {target.id} were deleted.", todo="Choose it again from its scan.")
        return self._with(replace(target, banned=on, pinned=target.pinned and not on))

    def budget(self, total: int) -> ExemplarMemory:
        """Keep at most ``total`` exemplars, now and after later steps.

        The tails of all greedy orders are cut evenly per structure.  Pinned exemplars stay even beyond
        ``total``.  The pixels of banned ones are deleted, their record stays.
        """
        kept = [item.id for item in self.items if item.pinned]
        keys = dict.fromkeys(key for item in self.items for key in item.ranks)
        queues = [self._queue(key, order) for order in ORDERS for key in keys]
        for place in range(max(map(len, queues), default=0)):
            kept += [queue[place].id for queue in queues if place < len(queue)]
        pinned = sum(item.pinned for item in self.items)
        chosen = set(list(dict.fromkeys(kept))[: max(total, pinned)])
        items = tuple(item for item in self.items if item.banned or item.id in chosen)
        scans = {id: scan for id, scan in self.scans.items() if id in chosen}  # noqa: A001
        return ExemplarMemory(items, scans, total)

    def without(self, ids: Collection[str]) -> ExemplarMemory:
        """Return the memory without some exemplars."""
        return self._only(item for item in self.items if item.id not in ids)

    def without_structure(self, structure: StructureId) -> ExemplarMemory:
        """Return the memory without one structure: its masks, its ranks, and exemplars kept for it alone."""
        kept = tuple(item.without_structure(structure) for item in self.items)
        kept = tuple(item for item in kept if item.ranks)
        scans = {item.id: _without_mask(self.scans[item.id], structure) for item in kept if item.id in self.scans}
        return replace(self, items=kept, scans=scans)

    def merged(self, new: ExemplarMemory) -> ExemplarMemory:
        """Return this memory with the exemplars of a later step after the old ones; the same pixels are kept once."""
        items = {item.place: item for item in self.items}
        scans = dict(self.scans)
        for item in new.items:
            known = items.get(item.place)
            items[item.place] = item if known is None else known.joined(item)
            if item.id in new.scans:
                id = items[item.place].id  # noqa: A001
                scan = replace(new.scans[item.id], id=id)
                scans[id] = _joined_scan(scans[id], scan) if id in scans else scan
        joined = replace(self, items=tuple(items.values()), scans=scans)
        return joined if self.limit is None else joined.budget(self.limit)

    def renumbered(self) -> ExemplarMemory:
        """Return the memory for others: ids tell nothing but the order, and what has no pixels any more is left out."""
        kept = [item for item in self.items if item.id in self.scans]
        ids = {item.id: f"{number:010x}" for number, item in enumerate(kept, start=1)}
        items = tuple(replace(item, id=ids[item.id]) for item in kept)
        return replace(self, items=items, scans={new: replace(self.scans[old], id=new) for old, new in ids.items()})

    def to_files(self) -> tuple[Json, dict[str, Tensor]]:
        """Return what :meth:`from_files` needs: JSON and tensors."""
        tensors = {
            f"{id}.{name}": tensor.cpu().contiguous()
            for id, scan in self.scans.items()  # noqa: A001
            for name, tensor in _tensors(scan).items()
        }
        outlined = {id: list(scan.structures) for id, scan in self.scans.items()}  # noqa: A001
        exemplars = [item.to_json() for item in self.items]
        return {"exemplars": exemplars, "outlined": outlined, "budget": self.limit}, tensors

    @classmethod
    def from_files(cls, data: Json, tensors: Mapping[str, Tensor]) -> ExemplarMemory:
        """Rebuild a memory and check its pixels.

        Raises:
            ModelError: Pixels are missing or were changed.
        """
        items = tuple(Exemplar.from_json(entry) for entry in data["exemplars"])
        scans: dict[str, PreparedCase] = {}
        for item in items:
            image = tensors.get(f"{item.id}.image")
            masks = tensors.get(f"{item.id}.masks")
            if item.banned and image is None:
                continue
            if image is None or masks is None or pixel_hash(image) != item.sha256:
                raise ModelError(f"Exemplar {item.id} is missing or damaged.", todo="Go back to another version.")
            outlined = tuple(data["outlined"][item.id])
            scans[item.id] = PreparedCase(
                id=item.id,
                patient=item.patient,
                image=image,
                structures=outlined,
                masks=masks,
                ignore=tensors.get(f"{item.id}.ignore"),
            )
        return cls(items, scans, data.get("budget"))

    def _queue(self, key: str, order: Order) -> list[Exemplar]:
        """Return what may be taken for ``key``: pinned first, then by rank."""
        usable = [
            item for item in self.items if key in item.ranks and not item.banned
            and (item.pinned or order in item.ranks[key])
        ]  # fmt: skip
        return sorted(usable, key=lambda item: (not item.pinned, item.ranks[key].get(order, math.inf)))

    def _with(self, changed: Exemplar) -> ExemplarMemory:
        return replace(self, items=tuple(changed if item.id == changed.id else item for item in self.items))

    def _only(self, items: Iterable[Exemplar]) -> ExemplarMemory:
        kept = tuple(items)
        scans = {item.id: self.scans[item.id] for item in kept if item.id in self.scans}
        return replace(self, items=kept, scans=scans)


def pixel_hash(image: Tensor) -> str:
    """Return the SHA-256 of pixels ``(C, D, H, W)``, of their shape and dtype."""
    digest = hashlib.sha256(f"{tuple(image.shape)} {image.dtype}".encode())
    digest.update(image.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _without_mask(scan: PreparedCase, structure: StructureId) -> PreparedCase:
    rows = [row for row, item in enumerate(scan.structures) if item != structure]
    return replace(scan, structures=tuple(scan.structures[row] for row in rows), masks=scan.masks[rows])


def _tensors(scan: PreparedCase) -> dict[str, Tensor]:
    found = {"image": scan.image, "masks": scan.masks}
    return found if scan.ignore is None else {**found, "ignore": scan.ignore}


def _joined_scan(old: PreparedCase, new: PreparedCase) -> PreparedCase:
    kept = [row for row, item in enumerate(old.structures) if item not in new.structures]
    structures = (*(old.structures[row] for row in kept), *new.structures)
    return replace(old, structures=structures, masks=torch.cat([old.masks[kept], new.masks]))

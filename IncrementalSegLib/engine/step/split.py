"""The split of a step: cases that train, and held-out cases for validation and retention."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import replace

import numpy as np

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.sampling.cases import Case, naming
from IncrementalSegLib.store.manifest import fingerprint

log = logging.getLogger(__name__)

HELD_OUT_SHARE = 0.2
"""Share of the patients that is held out."""

FEWEST_CASES = 4
"""With fewer cases nothing is held out."""

MOST_SHARE = 0.5
"""Share of the patients that is held out at most, where structures are rare and not found in the same ones."""

_TRIES = 20

Present = Callable[[Case], Collection[str]]
"""Returns the label names that have a voxel in a case."""


def split(
    cases: Sequence[Case],
    seed: int,
    trained: Collection[str] = (),
    held_out: Collection[str] = (),
    present: Present = lambda case: case.looked_for,
) -> tuple[list[Case], list[Case]]:
    """Split by patient into training cases and held-out cases.

    Cases of one content are of one patient, whatever the data set calls them.
    Cases held out by an earlier step stay held out, because they judge what is kept; training cases of earlier
    steps are never held out, because their scores would be optimistic.  Each structure is shown by a training patient
    and, if two patients or more show it, by one held out; this may need more than 20 % of the patients.

    Args:
        cases: The step's cases.
        seed: Decides the choice.
        trained: Fingerprints of cases that trained in earlier steps.
        held_out: Fingerprints of cases that earlier steps held out.
        present: Called for as few cases as decide the choice; by default what was looked for is there.

    Returns:
        Training cases and held-out cases (20 % of the patients, at least one from four cases on, else
        none), each sorted by id.

    Raises:
        DataError: All of these cases were held out by earlier steps.
    """
    original = sorted(cases, key=lambda case: case.id)
    prints: dict[str, str] = {}
    for case in original:
        with naming(case):
            prints[case.id] = fingerprint(case.images)
    ordered = _by_person(original, prints)
    patients = sorted({case.patient for case in ordered})
    held = {case.patient for case in ordered if prints.get(case.id) in held_out}
    if patients and held == set(patients):
        raise DataError(
            f"All {len(ordered)} cases were held out for validation by earlier steps of this model.",
            "Used for training, they could no longer show whether older structures are kept.",
            "Choose other cases, or add some.",
        )
    if len(ordered) >= FEWEST_CASES and len(patients) > 1:
        known = held | {case.patient for case in ordered if prints.get(case.id) in trained}
        fresh = [patient for patient in patients if patient not in known]
        most = len(fresh) - (len(known) == len(held))  # somebody must train
        wanted = min(max(1, round(HELD_OUT_SHARE * len(patients))) - len(held), most)
        limit = min(int(MOST_SHARE * len(patients)) - len(held), most)
        held |= _choose(ordered, fresh, held_out=held, count=max(0, wanted), most=limit, seed=seed, present=present)
    judging = {case.id for case in ordered if case.patient in held}
    return [case for case in original if case.id not in judging], [case for case in original if case.id in judging]


def _by_person(ordered: Sequence[Case], prints: Mapping[str, str]) -> list[Case]:
    """Return the cases, with one patient for all that share a scan, and say which scans are there twice."""
    first: dict[str, Case] = {}
    person = {case.patient: case.patient for case in ordered}
    twins = []
    for case in ordered:
        twin = first.setdefault(prints[case.id], case)
        if twin is not case:
            twins.append(f"{case.id} ({twin.id})")
            old, new = person[case.patient], person[twin.patient]
            person = {name: new if other == old else other for name, other in person.items()}
    if twins:
        log.warning(
            "The same scan is there more than once: %s. It counts as one patient, but each copy has a score of its "
            "own. Leave one out, unless other structures are outlined in it.",
            ", ".join(twins[:5]) + (", ..." if len(twins) > 5 else ""),
        )
    return [replace(case, patient=person[case.patient]) for case in ordered]


def _choose(
    cases: Sequence[Case], fresh: Sequence[str], held_out: Set[str], count: int, most: int, seed: int, present: Present
) -> set[str]:
    """Return the patients of ``fresh`` to hold out, ``count`` of them unless rare structures need others.

    Args:
        cases: All cases.
        fresh: Patients that may be held out.
        held_out: Patients that are held out already.
        count: How many more.
        most: How many more at most.
        seed: Decides the choice.
        present: Label names that have a voxel in a case.
    """
    rng = np.random.default_rng(seed)
    order = [fresh[index] for index in rng.permutation(len(fresh))]
    names = sorted(set().union(*(case.looked_for for case in cases)))
    known: dict[str, Collection[str]] = {}

    def found(case: Case) -> Collection[str]:
        if case.id not in known:
            known[case.id] = present(case)
        return known[case.id]

    def shown(name: str, patients: Set[str], inside: bool) -> bool:
        return any(name in found(case) for case in cases if (case.patient in patients) == inside)

    def worth(chosen: Iterable[str]) -> tuple[int, int, int]:
        taken = set(chosen)
        judged = sum(bool(own & (held_out | taken)) for own in holders.values())
        return judged, min(len(taken), count), -len(taken)

    first = held_out | set(order[:count])
    if all(shown(name, first, True) and shown(name, first, False) for name in names):
        return set(order[:count])
    holders = {name: {case.patient for case in cases if name in found(case)} for name in names}
    orders = [order, *([fresh[index] for index in rng.permutation(len(fresh))] for _ in range(_TRIES))]
    return set(max((_cover(order, holders, held_out, count, most) for order in orders), key=worth))


def _cover(
    order: Sequence[str], holders: Mapping[str, Set[str]], held_out: Set[str], count: int, most: int
) -> list[str]:
    """Choose patients one by one: each shows most that no held-out one shows; none is needed to train."""
    chosen: list[str] = []
    while len(chosen) < most:
        gone = held_out | set(chosen)
        missing = [name for name, own in holders.items() if not own & gone]
        free = [
            patient
            for patient in order
            if patient not in gone and all(own - gone - {patient} for own in holders.values() if patient in own)
        ]
        gain = {patient: sum(patient in holders[name] for name in missing) for patient in free}
        if not gain or (max(gain.values()) == 0 and len(chosen) >= count):
            break
        chosen.append(max(free, key=gain.__getitem__))
    return chosen

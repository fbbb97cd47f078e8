"""Unlabelled scans of earlier domains, on which a method distils the previous model."""

from __future__ import annotations

import logging
from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any

from IncrementalSegLib.engine.history import History
from IncrementalSegLib.engine.sources import find_sources
from IncrementalSegLib.errors import DataError, Hint, OptionError, OptionRef
from IncrementalSegLib.methods.base.method import Method
from IncrementalSegLib.registry import find, names
from IncrementalSegLib.sampling.cases import Case
from IncrementalSegLib.sampling.datasets import is_data, open_data
from IncrementalSegLib.store.manifest import fingerprint

_NAMED = 10
"""Most scans that a warning names."""

log = logging.getLogger(__name__)


def find_unlabelled(path: str | Path | None, method: Method[Any], history: History) -> tuple[Case, ...]:
    """Return the cases of ``--unlabelled``; no voxel is read.

    Scans that the model was told to forget, and all scans of a patient of whom one judges older structures, are left
    out with a warning.

    Args:
        path: A data set, whose labels do not count, or a folder or file of scans.
        method: The method of the step.
        history: The steps before.

    Raises:
        OptionError: The method does not draw unlabelled scans, or the step is a model's first.
        DataError: Nothing is there, or no scan is left.
    """
    if path is None:
        return ()
    option = OptionRef("unlabelled")
    if not method.draws_unlabelled:
        drawing = ", ".join(name for name in names("method") if find("method", name).draws_unlabelled)
        raise OptionError(
            f"The method {method.registered_name!r} does not draw unlabelled scans.",
            todo=Hint("Leave out ", option, f", or choose another method ({drawing})."),
        )
    if not history.number:
        raise OptionError(
            "A model's first step cannot use unlabelled scans.",
            "There is no previous model to distil on them.",
            Hint("Leave out ", option, "."),
        )
    cases = _cases(Path(path))
    forgotten = [case for case in cases if fingerprint(case.images) in history.forgotten]
    kept = _without(cases, forgotten, "the model has to forget them")
    judging = of_patients(kept, history.held_out - history.forgotten)
    kept = _without(kept, judging, "scans of their patients were held out and judge older structures")
    if not kept:
        raise DataError(
            f"All {len(cases)} unlabelled scans were held out by earlier steps or are to be forgotten.",
            "A scan that trains cannot judge any more.",
            "Name other scans.",
        )
    return tuple(kept)


def without_held_out(cases: Sequence[Case], held_out: Sequence[Case], training: Sequence[Case]) -> list[Case]:
    """Return the cases without those of patients whom the step itself holds out, with a warning.

    Args:
        cases: The cases of ``--unlabelled``.
        held_out: The held-out cases.
        training: The training cases; that they are among the others is said.
    """
    prints, patients = _prints(held_out), {case.patient for case in held_out}
    kept = _without(cases, of_patients(cases, prints, patients), "scans of their patients are held out in this step")
    known = _prints(training) & _prints(kept) if kept else set()
    if known:
        log.warning(
            "%d of %d unlabelled scans are training scans of this step too and show no earlier domain.",
            len(known),
            len(kept),
        )
    return kept


def warn_of_forgetting(improved: Sequence[str]) -> None:
    """Warn that an improvement without unlabelled scans may forget earlier domains."""
    log.warning(
        "The new labels say nothing about earlier domains: %s may get worse there. %s takes unlabelled scans of those "
        "domains, on which the previous model is distilled.",
        ", ".join(improved),
        OptionRef("unlabelled"),
    )


def _prints(cases: Sequence[Case]) -> set[str]:
    return {fingerprint(case.images) for case in cases}


def of_patients(cases: Sequence[Case], fingerprints: Set[str], patients: Set[str] = frozenset()) -> list[Case]:
    """Return the cases of the named patients, and of those of whom one scan has one of the fingerprints."""
    patients = patients | {case.patient for case in cases if fingerprint(case.images) in fingerprints}
    return [case for case in cases if case.patient in patients]


def _without(cases: Sequence[Case], left: Sequence[Case], why: str) -> list[Case]:
    """Return the other cases, with a warning that names those left out."""
    if left:
        names = ", ".join(case.id for case in left[:_NAMED]) + (", ..." if len(left) > _NAMED else "")
        log.warning("%d of %d unlabelled scans are left out, because %s: %s.", len(left), len(cases), why, names)
    return [case for case in cases if case not in left]


def _cases(path: Path) -> list[Case]:
    nothing: frozenset[str] = frozenset()
    if is_data(path):
        return [Case(case.id, case.patient, case.images, nothing) for case in open_data(path).cases]
    warnings: list[str] = []
    sources = find_sources(path, warnings)
    for warning in warnings:
        log.warning("%s", warning)
    return [Case(source.name, source.name, source.paths, nothing) for source in sources]

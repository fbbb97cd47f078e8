"""From probabilities to masks: the one place where it is decided what lies at a voxel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor

from IncrementalSegLib.networks.host import picked


def decide(probability: Tensor, exclusive: Sequence[bool]) -> Tensor:
    """Return which structures lie at each voxel.

    Args:
        probability: ``(K, *S)``, 0..1, with all structures of the model that exclude each other, or none of them.
        exclusive: For each structure, whether it is one of these: of them the most probable one lies there, unless
            what they leave to the background is more.  Any other lies where its own probability reaches one half.

    Returns:
        ``(K, *S)`` bool.
    """
    if all(exclusive):
        return _most_probable(probability)
    found = probability >= 0.5
    rows = [row for row, joint in enumerate(exclusive) if joint]
    for row, mask in zip(rows, _most_probable(picked(probability, rows, 0)), strict=True):
        found[row] = mask
    return found


def _most_probable(probability: Tensor) -> Tensor:
    """Return where each structure is more probable than any other and the background."""
    if not len(probability):
        return probability.bool()
    best = probability.amax(dim=0)
    free = best > 1 - probability.sum(dim=0)
    found = probability == best
    for mask in found:  # the first of equals; much faster than `max` with its indices
        mask.logical_and_(free)
        free.logical_xor_(mask)
    return found


def joined(parts: Iterable[Tensor]) -> Tensor:
    """Return the probabilities of structures that exclude each other and were scored apart.

    What was decided for a structure holds; those of the parts behind share the background of the parts before.

    Args:
        parts: Each ``(K, *S)``, 0..1, of all structures; 0 of those that another part scores.
    """
    first, *others = parts
    found = first.clone()
    for part in others:
        later = part.masked_fill(_most_probable(found).any(dim=0), 0.0)
        found = found * (1 - later.sum(dim=0)) + later
    return found

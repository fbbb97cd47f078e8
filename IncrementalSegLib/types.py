"""Conventions stated once: array axes, units and the vocabulary of the project.

Arrays
    Images are ``(C, D, H, W)`` and batches ``(B, C, D, H, W)``; a 2-D network sees slices
    ``(B, C, H, W)`` taken along D of the prepared volume.  ``*S`` are the spatial axes, two or
    three.  Structure masks are ``(K, *S)`` with K structures in the order of the model's list.
Units
    Millimetres and LPS as SimpleITK gives them: ``spacing``, ``origin`` and ``direction`` are in the
    order x, y, z, whereas arrays are indexed z, y, x.  Dice is in 0..1; one *point* is 0.01.
Values
    What is undefined is ``None`` in Python and ``null`` in JSON, never NaN.
"""

from __future__ import annotations

from typing import Any, Literal

Json = dict[str, Any]
"""A JSON object."""

StructureId = str
"""The uuid (32 hexadecimal digits) by which a structure is known, never its position."""

Source = str
"""The pool a batch comes from: ``"new"``, ``"exemplar"`` or ``"unlabelled"``; batches are homogeneous."""

DeviceName = Literal["auto", "cpu", "cuda"]
"""Where networks run; ``auto``: on a CUDA GPU where there is one."""

Dimension = Literal[2, 3]
"""Number of spatial axes that the network sees."""

Row = tuple[float, float, float, float]

Affine = tuple[Row, Row, Row]
"""Position of voxels in the patient: the rows times (d, h, w, 1) give x, y, z in mm, LPS."""

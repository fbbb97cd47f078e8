"""Modalities by DICOM's codes, as data sets state them."""

from __future__ import annotations

from collections.abc import Mapping

MODALITIES = ("CR", "CT", "DX", "ES", "GM", "MG", "MR", "NM", "OCT", "OP", "OT", "PT", "RF", "SM", "US", "XA", "XC")

_ALSO = {"MRI": "MR", "PET": "PT"}


def modality_code(name: object) -> str | None:
    """Return the code of a modality, in any case of letters, or ``None`` if it is not known."""
    given = str(name).strip().upper()
    code = _ALSO.get(given, given)
    return code if code in MODALITIES else None


def modality_of_channels(names: object) -> str:
    """Return the code that all channels of a ``dataset.json`` share, or nothing where they have other names.

    Args:
        names: Its ``channel_names`` or ``modality``: a name for each channel as a table or list, or one for all.  Many
            files use them for other things (``T2``, ``noNorm``, ``RGB photograph``).
    """
    listed = names.values() if isinstance(names, Mapping) else names if isinstance(names, list) else (names,)
    codes = {modality_code(name) for name in listed}
    return (codes.pop() or "") if len(codes) == 1 else ""

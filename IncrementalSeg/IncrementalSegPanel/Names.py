"""Names that a folder can have on every system."""

from __future__ import annotations

from IncrementalSegPanel.Translation import _

_REFUSED = '<>:"/\\|?*'
_RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(1, 10))}
_MOST_BYTES = 100
"""A file system takes 255; a date, a number or an ending may follow, and whole paths are limited on Windows."""


def faultOf(name: str) -> str:
    """Return why a folder cannot have a name; empty where it can.

    Example:
        >>> faultOf("Shoulder MR"), faultOf("nul")
        ('', 'Windows keeps the name nul for itself.')
    """
    plain = name.strip()
    if folderName(name) == plain:
        return ""
    if len(plain.encode()) > _MOST_BYTES:
        return _("This name is too long.")
    if plain.partition(".")[0].upper() in _RESERVED:
        return _("Windows keeps the name {} for itself.").format(plain)
    return _("A name cannot contain any of {}, nor begin or end with a dot.").format(" ".join(_REFUSED))


def folderName(text: str) -> str:
    """Return a text as the name of a folder, as much of it as a name can hold.

    Example:
        >>> folderName("left/right ear. ")
        'left_right ear'
    """
    plain = "".join("_" if sign in _REFUSED or not sign.isprintable() else sign for sign in text).strip(". ")
    while len(plain.encode()) > _MOST_BYTES:
        plain = plain[:-1]
    plain = plain.strip(". ")
    return f"_{plain}" if plain.partition(".")[0].upper() in _RESERVED else plain

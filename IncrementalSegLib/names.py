"""Names of structures, labels and cases: how they are kept and how they are shown.

Standard library only.
"""

from __future__ import annotations

import re
import unicodedata

from IncrementalSegLib.errors import OptionError

LONGEST = 255
"""Characters of the longest name; no file system takes a longer one."""

_IGNORABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Characters without a shape of their own whose category does not say so."""


def plain(text: str) -> str:
    r"""Return a text without characters that steer what shows it; line breaks and tabs stay.

    Control characters and halves of characters become ``_``; marks of direction, joiners and other characters
    without a shape are left out.

    Example:
        >>> plain("\x1b[31mliver\u202e")
        '_[31mliver'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_replaced(sign) for sign in text)


def tame(name: str) -> str:
    r"""Return a name that came with data in the form in which the program keeps it: :func:`plain`, NFC, single blanks.

    What is longer than :data:`LONGEST` is cut.

    Example:
        >>> tame(" left\u00a0 kidney\n")
        'left kidney'
    """
    shown = _IGNORABLE.sub("", plain(" ".join(name.split())))
    return " ".join(unicodedata.normalize("NFC", shown).split())[:LONGEST].strip()


def name_key(name: str) -> str:
    r"""Return what two spellings of one name share: the only way to compare names of structures, labels and cases.

    Letter case, blanks around and between words, Unicode forms and invisible signs do not matter.

    Example:
        >>> name_key("Left  Kidney ") == name_key("left\u00a0kidney")
        True
    """
    return " ".join(unicodedata.normalize("NFKC", tame(unicodedata.normalize("NFKC", name)).casefold()).split())


def checked(name: str) -> str:
    """Return the name of a structure that a person chose, as :func:`tame` has it.

    Args:
        name: The name.

    Raises:
        OptionError: It is empty, too long, or holds a control character.
    """
    tamed, said = tame(name), visible(name if len(name) <= 60 else f"{name[:57]}...")
    steering = [sign for sign in " ".join(name.split()) if unicodedata.category(sign) in ("Cc", "Cs")]
    if tamed and not steering and len(name) <= LONGEST:
        return tamed
    reason, todo = "it is empty", "Give it a name."
    if steering:
        reason, todo = f"it holds the control character {visible(steering[0])}", "Leave it out."
    elif tamed:
        reason, todo = f"it has {len(name)} characters", f"Use at most {LONGEST}."
    raise OptionError(f"'{said}' cannot be the name of a structure: {reason}.", todo=todo)


def visible(text: str, *, lines: bool = False) -> str:
    r"""Return a text for a terminal or a log: what would steer it is written out.

    Args:
        text: Any text.
        lines: Leave line breaks and tabs as they are.

    Example:
        >>> visible("\x1b[31mliver\u202e")
        '\\x1b[31mliver\\u202e'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(sign if _is_shown(sign) or (lines and sign in "\n\t") else _escaped(sign) for sign in text)


def _replaced(sign: str) -> str:
    if _is_shown(sign) or sign in "\n\t":
        return sign
    return "" if unicodedata.category(sign) == "Cf" else "_"


def _is_shown(sign: str) -> bool:
    return unicodedata.category(sign) not in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _escaped(sign: str) -> str:
    return sign.encode("unicode_escape", "backslashreplace").decode("ascii")

"""The names of a person: found in texts in any case, form and encoding, and taken out without harm to others."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable

from IncrementalSegLib.engine.history import FORGOTTEN

_SHORT = 3  # characters; below it, and in numbers, a name says nothing by itself
_RAW = 6  # bytes; shorter ones occur in weights by chance
_HASHES = ("md5", "sha1", "sha256", "sha512", "blake2b")
TOLD_APART = r" \([0-9a-f]{6}\)$"
"""Ending that the gate appends where two scans have one name."""


class Names:
    """The names that are to be forgotten, and the other names, which stay.

    A name is found as a whole: between characters that are neither letters nor digits.  ``p1`` is found neither in
    ``p10`` nor in another name that holds it, such as ``p1_b``.

    Args:
        own: Names to be forgotten.
        others: Names of others.
        files: What the files are called; looked for where names stand, not among the words of the program.
    """

    def __init__(self, own: Iterable[str], others: Iterable[str] = (), files: Iterable[str] = ()) -> None:
        self.own = frozenset(own) - {"", FORGOTTEN}
        self._own = {fold(name) for name in self.own}
        self._files = {fold(name) for name in files if len(name) > _SHORT and not name.isdigit()}
        known = sorted({*self._own, *self._files, *map(fold, others)} - {""}, key=len, reverse=True)
        parts = (r"[\s_\-]+".join(map(re.escape, name.split())) for name in known)
        self._pattern = re.compile(rf"(?<![^\W_])(?:{'|'.join(parts)})(?![^\W_])") if known else re.compile(r"(?!)")
        self._raw = self._bytes_pattern()
        self._digests = [digest for name in self.own for digest in _digests(name)]

    @property
    def says_little(self) -> bool:
        """Whether every name is a number or so short that it occurs in many texts by chance."""
        return all(name.isdigit() or len(name) < _SHORT for name in self._own)

    def equal(self, text: object) -> bool:
        """Return whether a text is one of the names, however it is spelled."""
        return isinstance(text, str) and re.sub(TOLD_APART, "", fold(text)) in self._own

    def are_in(self, text: str) -> bool:
        """Return whether a text holds one of the names or what a file is called."""
        return any(self._is_own(found) for found in self._pattern.finditer(fold(text)))

    def are_among_words(self, text: str) -> bool:
        """Return whether a text that is a word of the program, or the name of a structure, holds one of the names."""
        return any(self._is_own(found, files=False) for found in self._pattern.finditer(fold(text)))

    def without(self, text: str) -> str:
        """Return a text in which :data:`FORGOTTEN` stands where a name stood."""
        if not self.are_in(text):
            return text
        folded = fold(text)
        kept = text if len(folded) == len(text) else folded  # folding moved the places
        pieces, at = [], 0
        for found in self._pattern.finditer(folded):
            if self._is_own(found):
                pieces += [kept[at : found.start()], FORGOTTEN]
                at = found.end()
        return "".join((*pieces, kept[at:]))

    def are_in_bytes(self, data: bytes) -> bool:
        """Return whether bytes hold a name in a usual encoding."""
        return self._raw is not None and self._raw.search(data) is not None

    def are_hashed_in(self, data: bytes) -> bool:
        """Return whether bytes hold a usual hash of a name, or the beginning of one."""
        return any(digest in data for digest in self._digests)

    def _is_own(self, found: re.Match[str], *, files: bool = True) -> bool:
        names = self._own | self._files if files else self._own
        return _joined(found[0]) in {_joined(name) for name in names}

    def _bytes_pattern(self) -> re.Pattern[bytes] | None:
        forms = {form.encode(code, "ignore") for name in self.own for form in _forms(name)
                 for code in ("utf-8", "utf-16-le", "utf-16-be", "latin-1")}  # fmt: skip
        long = sorted(re.escape(form) for form in forms if len(form) >= _RAW)
        return re.compile(rb"(?<![0-9A-Za-z])(?:%s)(?![0-9A-Za-z])" % b"|".join(long)) if long else None


def fold(text: str) -> str:
    """Return a text in the form in which names are looked for."""
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(sign for sign in plain if unicodedata.category(sign) != "Cf")


def _joined(name: str) -> str:
    return " ".join(re.split(r"[\s_\-]+", name))


def _forms(name: str) -> set[str]:
    forms = {unicodedata.normalize(form, name) for form in ("NFC", "NFD")}
    return {made for form in forms for made in (form, form.lower(), form.upper(), form.casefold())}


def _digests(name: str) -> set[bytes]:
    """Return the beginnings of the usual hashes of a name in hexadecimal digits."""
    data = {form.encode("utf-8", "surrogatepass") for form in _forms(name)}
    return {hashlib.new(kind, item).hexdigest()[:16].encode() for item in data for kind in _HASHES}

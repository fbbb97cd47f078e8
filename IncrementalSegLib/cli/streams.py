"""Standard output and error that fail neither for their encoding nor for a reader that is gone."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from IncrementalSegLib.errors import IncrementalSegError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_ERRORS = "incrementalseg.spelled"

_SPELLED = {
    "Δ": "d", "×": "x", "±": "+/-", "≥": ">=", "≤": "<=", "≈": "about ", "→": "->", "←": "<-", "·": "-",
    "–": "-", "—": "-", "−": "-", "…": "...", "’": "'", "“": '"', "”": '"', "µ": "u", "²": "^2", "³": "^3",
}  # fmt: skip
"""Characters of the program's own texts -> replacements for encodings that lack them."""

_GONE = {errno.EPIPE, errno.ESHUTDOWN, errno.ECONNRESET, errno.EBADF} | ({errno.EINVAL} if os.name == "nt" else set())


def harden() -> None:
    """Let both standard streams of this process take any text.

    A sign that their encoding lacks is spelled or escaped.  What nobody reads any more is dropped: a version that
    has gone live is no failure because ``| head`` has seen enough.
    """
    codecs.register_error(_ERRORS, _spelled)
    sys.stdout, sys.stderr = _hardened(sys.stdout, "output"), _hardened(sys.stderr, "error")


class _Listener(io.FileIO):
    """A standard stream; what is written after its reader is gone is dropped.

    Args:
        descriptor: Of the stream.
        name: ``output`` or ``error``, for the message.
    """

    def __init__(self, descriptor: int, name: str) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self._name, self._ended = name, False

    def write(self, data: ReadableBuffer, /) -> int:
        """Write bytes.

        Raises:
            IncrementalSegError: The disk behind the stream is full or broken; said once.
        """
        try:
            return memoryview(data).nbytes if self._ended else super().write(data)
        except OSError as error:
            self._ended = True
            if error.errno not in _GONE:
                raise IncrementalSegError(
                    f"Standard {self._name} cannot be written: {error.strerror}.",
                    "The work done before is kept.",
                    "Send the output elsewhere.",
                ) from error
            return memoryview(data).nbytes


def _hardened(stream: TextIO | None, name: str) -> TextIO:
    """Return a stream that takes any text; one that is closed leads nowhere."""
    if stream is None:
        return Path(os.devnull).open("w", encoding="utf-8")
    if type(stream) is not io.TextIOWrapper:  # one that a test listens to
        return stream
    if stream.isatty():
        stream.reconfigure(errors=_ERRORS)
        return stream
    stream.flush()
    raw = io.BufferedWriter(_Listener(stream.fileno(), name))
    return io.TextIOWrapper(raw, stream.encoding, _ERRORS, line_buffering=True)


def _spelled(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    signs = error.object[error.start : error.end]
    ascii_signs = (_SPELLED.get(sign, sign).encode("ascii", "backslashreplace").decode() for sign in signs)
    return "".join(ascii_signs), error.end

"""Translation of what people read, for files that also run without Slicer."""

from collections.abc import Callable

_: Callable[[str], str]

try:
    from slicer.i18n import tr as _
except ImportError:  # tests and command line

    def _(text: str) -> str:
        """Return the text as it is."""
        return text


__all__ = ["_"]

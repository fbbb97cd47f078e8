"""Translation of what people read, for files that also run without Slicer."""

from collections.abc import Callable


def _untranslated(text: str) -> str:
    """Return the text as it is."""
    return text


def _translator() -> Callable[[str], str]:
    """Return Slicer's function; in tests and on the command line one that changes nothing."""
    try:
        from slicer.i18n import tr
    except ImportError:
        return _untranslated
    translate: Callable[[str], str] = tr
    return translate


_ = _translator()

__all__ = ["_"]

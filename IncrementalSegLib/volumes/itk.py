"""ITK without its words on standard error."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import SimpleITK as sitk

_PLAIN = {"determine ImageIO": "it is in no known format, or damaged", "size is zero": "it holds no voxel"}
"""Message of ITK -> message for a person."""

_log = logging.getLogger(__name__)


@contextmanager
def quiet() -> Iterator[None]:
    """Send what ITK writes to standard error to the log instead."""
    listener = _Listener()  # ITK does not keep it alive
    earlier = listener.SetAsGlobalITKLogger()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        earlier.SetAsGlobalITKLogger()


def reason_of(error: Exception) -> str:
    """Return the last line of an error of ITK, without its marks."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no reason given"]
    reason = lines[-1].removeprefix("ITK ERROR: ").removeprefix("sitk::ERROR: ").rstrip(".")
    return next((plain for mark, plain in _PLAIN.items() if mark in reason), reason)


class _Listener(sitk.LoggerBase):
    """Receives what ITK wants to say."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def DisplayText(self, text: str) -> None:  # noqa: N802
        _log.debug("%s", " ".join(text.split()))

    DisplayErrorText = DisplayWarningText = DisplayGenericOutputText = DisplayDebugText = DisplayText

"""Why pip has failed, in a sentence, and what to do."""

from __future__ import annotations

import re
from collections.abc import Sequence

from IncrementalSegPanel.Translation import _


def explainPip(lines: Sequence[str]) -> tuple[str, str]:
    """Return why and what to do, from what was said; without a known cause the last line that says something.

    Args:
        lines: What pip and the check after it have printed.
    """
    text = "\n".join(lines)
    for pattern, why, todo in _causes():
        if re.search(pattern, text, re.IGNORECASE):
            return why, todo
    said = [line.strip() for line in lines if line.strip()]
    errors = [line for line in said if "error" in line.lower()]
    return (errors or said or [""])[-1], _("Try again; if it fails again, copy the report and ask for help.")


def _causes() -> list[tuple[str, str, str]]:
    """Return pattern, why and what to do; the first that fits counts, so the surest stand first."""
    return [
        (
            r"no space left|not enough space|WinError 112",
            _("The disk is full."),
            _("Make room where Slicer is installed, then try again."),
        ),
        (
            r"permission denied|access is denied|WinError (5|32)\b",
            _("A file of Slicer's Python cannot be replaced: it is in use, or you may not write there."),
            _("Close every other Slicer, start this one again before anything else is opened, and try again."),
        ),
        (
            r"name resolution|getaddrinfo|NewConnectionError|connection (refused|reset)|timed out|proxyerror|SSLError",
            _("The libraries cannot be downloaded: there is no internet connection, or a firewall or proxy blocks it."),
            _("Connect to the internet and try again, or install from a folder of wheels."),
        ),
        (
            r"ResolutionImpossible|conflicting dependencies|the user requested \(constraint\)",
            _("Libraries of Slicer or another extension are not compatible with the required ones."),
            _("Update Slicer and its extensions, then try again; the log names the libraries."),
        ),
        (
            r"no matching distribution found for ([\w.-]+)",
            _("A library is not available in the required version."),
            _("The log names it. From a folder: add its file. Else: update Slicer, then try again."),
        ),
    ]

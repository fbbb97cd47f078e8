"""Data for a front end's form: the methods with their options, and the settings of every step."""

from __future__ import annotations

from IncrementalSegLib.engine.settings import settings_schema
from IncrementalSegLib.methods.base.catalogue import catalogue
from IncrementalSegLib.types import Json


def forms() -> Json:
    """Return what ``methods --json`` prints.

    Returns:
        What :func:`~IncrementalSegLib.methods.base.catalogue.catalogue` tells, and as ``settings`` the JSON schema of
        :class:`~IncrementalSegLib.engine.settings.StepSettings`.
    """
    return catalogue() | {"settings": settings_schema()}

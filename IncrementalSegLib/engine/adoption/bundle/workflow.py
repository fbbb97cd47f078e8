"""The workflow that runs a MONAI bundle: its parts have to be those that are read."""

from __future__ import annotations

from IncrementalSegLib.engine.adoption.bundle.config import Config

_PARTS = {
    "dataset#transform": "preprocessing",
    "evaluator#inferer": "inferer",
    "evaluator#postprocessing": "postprocessing",
    "evaluator#network": "network",
}
_CODE = ("evaluator#prepare_batch", "evaluator#iteration_update")


def check_workflow(config: Config) -> None:
    """Refuse a configuration that is run with other parts than those that are read, or with code of its own.

    Raises:
        ModelError: It is; the key is named.
    """
    for key, part in _PARTS.items():
        given = config.value(key)
        if given is not None and given != config.value(part):
            raise config.refused(f"{key}: it is another one than {part}", f"Only {part} is read.")
    for key in _CODE:
        if (given := config.value(key)) is not None:
            raise config.refused(f"{key}: it is {str(given)[:100]}", "It can change what the network sees.")

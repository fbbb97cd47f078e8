"""The model card: what a model is, what it learned from what, and what patient-derived data it holds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from IncrementalSegLib.engine.history import ADOPTED
from IncrementalSegLib.names import plain
from IncrementalSegLib.networks.task_memory import scans_in
from IncrementalSegLib.preprocessing.plan import STORED
from IncrementalSegLib.prototypes.bank import FEW_PATIENTS
from IncrementalSegLib.types import Json

_MARKUP = re.compile(r"[\\`*_{}\[\]<>()#!|~&]|^\s*(?:[-+=]|\d+[.)])", re.MULTILINE)
"""Characters with a meaning in Markdown or HTML."""


def card_of(
    name: str, documents: Mapping[str, Json], tensors: Mapping[str, Mapping[str, Tensor]], license_text: str
) -> Json:
    """Return the card of a version.

    Args:
        name: Name of the model.
        documents: Its record, history, prototypes and exemplars, as a package holds them.
        tensors: Its tensors by kind.
        license_text: On what terms it may be used; may be empty.
    """
    record, steps = documents["record"], documents["history"].get("steps", [])
    names = {item["id"]: item["name"] for item in record["structures"]}
    plan, config = record["preprocessing"], record["architecture"]["config"]
    prototypes = documents["prototypes"].get("prototypes", {})
    return {
        "name": name,
        "created": record["created"],
        "structures": [_structure(record, item) for item in record["structures"]],
        "lineage": [_step(step, names) for step in steps],
        "scans": {key: plan[key] for key in ("dimension", "channels", "orientation", "spacing")},
        "network": {"name": config["network"], "output": record["output"], "parameters": _count(tensors["weights"])},
        "patient_data": {
            "exemplars": len(documents["exemplars"].get("exemplars", [])),
            "exemplar_bytes": sum(item.nbytes for item in tensors["exemplars"].values()),
            "embeddings": len(scans_in(tensors["weights"])),
            "prototypes": {
                names.get(key, key): {"voxels": item["count"], "patients": item["patients"]}
                for key, item in prototypes.items()
            },
            "fingerprints": len({case["sha256"] for step in steps for case in _cases(step)}),
        },
        "license": license_text,
        "libraries": record["libraries"],
    }


def card_page(card: Json) -> str:
    """Return the card as a page in Markdown, in which no name and no text is more than that."""
    card = escaped(card)
    scans, network, held = card["scans"], card["network"], card["patient_data"]
    spacing = " x ".join("its own" if item is None else f"{item:.3g}" for item in scans["spacing"])
    structures = [f"- {item['name']}: {_score(item)}" for item in card["structures"]]
    lineage = [
        f"- Step {item['step']}: {', '.join(item['structures']) or 'nothing any more'}, {_how(item)}"
        for item in card["lineage"]
    ]
    prototypes = [
        f"- mean features of {escaped(name)}: {item['voxels']} voxels of {item['patients']} patients"
        + (", few enough to describe each of them" if item["patients"] <= FEW_PATIENTS else "")
        for name, item in held["prototypes"].items()
    ]
    prints = [
        f"- sha256 of the files of {count} scans, to recognise them; no image can be made from it"
        for count in [held["fingerprints"]]
        if count
    ]
    return "\n".join(
        [
            f"# {card['name']}\n",
            f"A model of IncrementalSeg, made {card['created']}.\n",
            "## Structures\n",
            *structures,
            "\n## How it learned\n",
            *lineage,
            "\n## Scans\n",
            f"{scans['dimension']}-D network {network['name']} with {network['parameters']} parameters.",
            f"{_counted(scans['channels'], 'channel')}, {_axes(scans['orientation'])}, spacing {spacing} mm.",
            "\n## Patient data\n",
            f"- exemplars (pieces of scans): {held['exemplars']}, {held['exemplar_bytes'] / 1e6:.1f} MB",
            *prototypes,
            *([f"- embeddings of {held['embeddings']} scans"] if held["embeddings"] else []),
            *prints,
            "- weights, which every scan of the lineage influenced",
            "\n## Terms of use\n",
            card["license"] or "None are stated.",
            "",
        ]
    )


def escaped(item: Any) -> Any:
    """Return a document, or a text, of which nothing has a meaning in Markdown or HTML."""
    if isinstance(item, dict):
        return {key: escaped(part) for key, part in item.items()}
    if isinstance(item, list):
        return [escaped(part) for part in item]
    return _MARKUP.sub(_after_backslash, plain(item)) if isinstance(item, str) else item


def _axes(orientation: str) -> str:
    if set(orientation) != set(STORED):
        return f"orientation {orientation}"
    return "axes as they are stored" + f", in the order {', '.join(orientation)}" * (orientation != STORED)


def _after_backslash(found: re.Match[str]) -> str:
    return f"{found[0][:-1]}\\{found[0][-1]}"


def _score(structure: Json) -> str:
    dice = structure["validation_dice"]
    return (
        "no score" if dice is None else f"Dice {dice:.3f} on {_counted(structure['validation_cases'], 'held-out scan')}"
    )


def _how(step: Json) -> str:
    if step["method"] == ADOPTED:
        return "adopted; the scans that taught it are not known here"
    return f"by {step['method']}, from {_counted(step['cases'], 'scan')} of {_counted(step['patients'], 'patient')}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _structure(record: Json, item: Json) -> Json:
    score = record["scores"].get(item["id"], {})
    return {
        "name": item["name"],
        "terminology": item["terminology"],
        "color": item["color"],
        "validation_dice": score.get("validation_dice"),
        "validation_cases": score.get("cases", 0),
    }


def _step(step: Json, names: Mapping[str, str]) -> Json:
    return {
        "step": step["number"],
        "method": step["method"],
        "structures": [names[item] for item in step["taught"] if item in names],
        "cases": len(step.get("training", [])),
        "patients": len({case["patient"] for case in step.get("training", [])}),
        "cases_held_out": len(step.get("held_out", [])),
    }


def _cases(step: Json) -> list[Json]:
    return [*step.get("training", []), *step.get("held_out", [])]


def _count(weights: Mapping[str, Tensor]) -> int:
    return sum(item.numel() for item in weights.values())

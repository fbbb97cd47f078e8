"""Release a model as an ONNX graph with a description by which any program can run it."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from IncrementalSegLib.engine.adoption.refusal import inexpressible
from IncrementalSegLib.engine.models import LoadedModel, load
from IncrementalSegLib.engine.packages.card import escaped
from IncrementalSegLib.engine.release.graph import INPUT, Channel, Graph, channels_of, graph_of, require_onnx
from IncrementalSegLib.engine.release.notes import Release, card_for, doubts, readme
from IncrementalSegLib.engine.release.recipe import steps_of, windows_of
from IncrementalSegLib.engine.release.shared import called, check_free, check_tasks, write_folder
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.files import encode_json
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.store.summary import read_summary
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.types import Json

GRAPH = "model.onnx"
"""The network with its weights."""

PLAN = "plan.json"
"""Its description; the graph holds it too, as the metadata ``incrementalseg``."""

_PROGRAM = "ONNX"
_FORM = "as ONNX", "as a graph of ONNX"
_FORMAT = 1
_AXES = "DHW"
_NOTE = "There is neither dropout nor a map of uncertainty in the graph, and it cannot be taught."
_USE = """\
```python
import onnxruntime

session = onnxruntime.InferenceSession("{graph}")
({output},) = session.run(None, {{"{input}": windows}})  # float32, {shape}
```

How the scan becomes `windows`, and `{output}` a segmentation; `{plan}` says the same for programs:

{steps}
"""


def release_onnx(
    model: str | Path, folder: str | Path, *, number: int | None = None, license_text: str = ""
) -> Release:
    """Write a version of a model as a graph of ONNX, a description of how scans go in and masks come out, and notes.

    The graph holds the network with its output: probabilities of the structures or, where an adopted model averages the
    scores of windows, these.  It was run and compared with the network before it is written.

    Args:
        model: The model's folder.
        folder: The folder to write.
        number: The version; by default the current one.
        license_text: On what terms it may be used; by default those that the model's card states.

    Raises:
        ModelError: The model cannot be a graph, the folder is there already, or it cannot be written; nothing was
            written.
        MissingNeedError: A package of the extra ``onnx`` is not installed.
        UnknownNameError: There is no version of that number.
    """
    require_onnx()
    target = Path(folder)
    check_free(target)
    found = load(open_model(model), start("cpu"), number)
    check_tasks(found, _PROGRAM)
    refused = partial(inexpressible, what=called(found), program=_PROGRAM)
    graph = graph_of(found.segmenter, found.plan, refused)
    origin = read_summary(model, found.record.number)["origin"] or {}
    card = card_for(found, license_text)
    channels = channels_of(found.segmenter, found.plan, {item.id: item.name for item in found.record.structures})
    plan = _description(found, graph, channels, origin, card)
    release = Release(
        folder=target,
        version=found.record.number,
        labels={item["name"]: item["label"] for item in plan["structures"]},
        overlapping=len(found.segmenter.exclusive) < len(found.record.structures),
        folds=1,
        command="",
        license=card["license"],
        warnings=doubts(found),
    )
    steps = "\n".join(f"{number}. {step}" for number, step in enumerate(_steps(found, escaped), start=1))
    shape = " x ".join(map(str, graph.shape))
    use = _USE.format(graph=GRAPH, plan=PLAN, input=INPUT, output=graph.output, shape=shape, steps=steps)
    notes = [_kinds(channels), _NOTE, _compared(graph)]
    files = {
        GRAPH: graph.to_bytes({"incrementalseg": json.dumps(plan)}),
        PLAN: encode_json(plan),
        "README.md": readme(release, card, origin, _FORM, notes, use).encode(),
        "card.json": encode_json(card),
    }
    write_folder(target, files)
    return release


def _description(found: LoadedModel, graph: Graph, channels: list[Channel], origin: Json, card: Json) -> Json:
    """Return ``plan.json``."""
    segmenter, plan = found.segmenter, found.plan
    structures = [found.record.structures.by_id(item) for item in segmenter.structures]
    exclusive = segmenter.excluding(segmenter.structures)
    axes = ["batch", "channel", *_AXES[3 - plan.dimension :]]
    known = origin.get("channels") or [f"channel {number}" for number in range(plan.channels)]
    return {
        "format": "incrementalseg-onnx",
        "format_version": _FORMAT,
        "name": card["name"],
        "version": found.record.number,
        "license": card["license"],
        "input": {
            "name": INPUT,
            "type": "float32",
            "axes": axes,
            "shape": list(graph.shape),
            "channels": known,
        },
        "output": {
            "name": graph.output,
            "axes": axes,
            "channels": [{"name": item.name, "kind": item.kind} for item in channels],
        },
        "structures": [
            {
                "name": item.name,
                "label": label,
                "excludes": excludes,
                "color": list(item.color),
                "terminology": item.terminology,
            }
            for label, (item, excludes) in enumerate(zip(structures, exclusive, strict=True), start=1)
        ],
        "windows": windows_of(plan),
        "plan": _plan(plan),
        "steps": _steps(found),
        "largest_difference": graph.difference,
    }


def _steps(found: LoadedModel, spelled: Callable[[str], str] = str) -> list[str]:
    """Return what a program does with a scan; names are spelled as the place of the sentences wants it."""
    structures = found.segmenter.structures
    names = [spelled(found.record.structures.by_id(item).name) for item in structures]
    return steps_of(found.plan, names, found.segmenter.excluding(structures))


def _plan(plan: Plan) -> Json:
    """Return what the sentences of the steps are made of, as numbers."""
    found = plan.model_dump(mode="json")
    rules = found["rules"]
    kept = ("dimension", "planar", "channels", "orientation", "spacing", "patch", "multiple")
    own = {"normalisation": found["normalisation"]} | {key: found[key] for key in ("clip_percent", "window")}
    return {key: found[key] for key in kept} | (own if rules is None else {"rules": rules})


def _kinds(channels: list[Channel]) -> str:
    listed = ", ".join(f"{number} {escaped(item.name)} ({item.kind})" for number, item in enumerate(channels))
    return (
        f"Channels of the output: {listed}. Kind *softmax*: its probability is that of a softmax over all channels of "
        "this kind; *sigmoid*: the sigmoid of its score; *none*: it is a probability."
    )


def _compared(graph: Graph) -> str:
    found = f"{graph.difference:.1g}"
    return f"On random windows, one and two at a time, onnxruntime and the model differed by at most {found}."

"""A network as an ONNX graph, written by torch and compared with the network itself before it is given away."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from IncrementalSegLib.errors import MissingNeedError
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.types import Json

TOLERANCE = 1e-4
"""Largest difference between graph and network, relative to the largest output where that is above 1.

Where the network itself loses more by rounding (its scores are very steep), the difference may be twice that.
"""

INPUT = "image"
"""Name of the graph's input."""

MOST_BYTES = 2**31 - 2**24
"""Weights of a graph in one file, which ends at 2 GB."""

_PACKAGES = ("onnxscript", "onnxruntime")
_BATCHES = (1, 2)

Refusal = Callable[[str, str], Exception]
"""Makes the error of a reason and why it is one."""


@dataclass(frozen=True)
class Channel:
    """A channel of the output.

    Attributes:
        name: Structure or ``background``.
        kind: What makes its probability: ``none``, it is one; ``softmax`` over all channels of this kind; or
            ``sigmoid``.
    """

    name: str
    kind: str


@dataclass(frozen=True)
class Graph:
    """An ONNX graph.

    Attributes:
        model: A ``ModelProto``.
        output: Name of its output: ``probabilities``, or ``scores`` where windows of them are averaged.
        shape: Sizes of its input: batch, channels and those along the spatial axes; a text names one that may vary.
        difference: Largest difference from the network on random patches.
    """

    model: Any
    output: str
    shape: tuple[str | int, ...]
    difference: float

    def to_bytes(self, notes: Json) -> bytes:
        """Return the file, with texts that stay with the graph.

        Args:
            notes: Key -> text.
        """
        for key, value in notes.items():
            self.model.metadata_props.add(key=key, value=value)
        data: bytes = self.model.SerializeToString()
        return data


class _Outputs(nn.Module):
    """A segmenter whose output is what is averaged over windows."""

    def __init__(self, segmenter: Segmenter, scored: bool) -> None:
        super().__init__()
        self.segmenter, self.scored = segmenter, scored

    def forward(self, image: Tensor) -> Tensor:
        """Return ``(B, M, *S)`` for ``(B, C, *S)``."""
        segmenter, logits = self.segmenter, self.segmenter(image).logits
        if not self.scored:
            return segmenter.probabilities(logits)
        columns = logits.flatten(1, -1 - segmenter.dimension)
        count = _rows(segmenter)
        rows, pairs = columns[:, :count], columns[:, count:]
        return torch.cat([rows, pairs[:, 1::2] - pairs[:, ::2]], dim=1)  # a softmax over two is such a sigmoid


def channels_of(segmenter: Segmenter, plan: Plan, names: dict[str, str]) -> list[Channel]:
    """Return what the channels of a graph's output are.

    Args:
        segmenter: The network.
        plan: The plan of the model.
        names: Uuid of a structure -> name.
    """
    if plan.rules is None:
        return [Channel(names[item], "none") for item in segmenter.structures]
    joint = [item for item in segmenter.structures if item in segmenter.exclusive]
    rows = [Channel(name, "softmax") for name in ("background", *(names[item] for item in joint))] if joint else []
    return rows + [Channel(names[item], "sigmoid") for item in segmenter.structures if item not in joint]


def require_onnx() -> None:
    """Fail early where no graph can be written.

    Raises:
        MissingNeedError: A package is not installed.
    """
    if missing := [name for name in _PACKAGES if find_spec(name) is None]:
        raise MissingNeedError(
            f"No ONNX can be written: {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed.",
            "torch writes it with onnxscript, and onnxruntime compares it with the network.",
            'pip install "incrementalseg[onnx]"',
        )


def graph_of(segmenter: Segmenter, plan: Plan, refused: Refusal) -> Graph:
    """Return a network as a graph that was run and compared.

    The batch varies.  Other sizes are those of the patch, except where slices are seen as a whole.

    Args:
        segmenter: The network, in eval mode on the CPU; what depends on weights alone is computed once.
        plan: The plan of the model.
        refused: Makes the error of a network that torch cannot write.

    Raises:
        Exception: What ``refused`` returned.
    """
    size = sum(item.nbytes for item in segmenter.state_dict().values())
    if size > MOST_BYTES:
        raise refused(f"its weights have {size / 1e9:.1f} GB", "A file of ONNX holds at most 2 GB.")
    segmenter.output.settle()
    network = _Outputs(segmenter, scored=plan.rules is not None).eval()
    patch = plan.patch[3 - plan.dimension :]
    name = "scores" if network.scored else "probabilities"
    model = _exported(network, (max(_BATCHES), plan.channels, *patch), plan, name, refused)
    images = [_noise(count, (plan.channels, *patch)) for count in _BATCHES]
    ours = [_run(network, image) for image in images]
    difference = _difference(ours, _run_graph(model, images))
    if not difference <= TOLERANCE:  # nor is NaN
        network.double().segmenter.output.settle()
        rounding = _difference(ours, [_run(network, image.double()) for image in images])
        if not difference <= 2 * rounding:
            raise refused(
                f"its graph differs from the network by {difference:.2g}",
                f"At most {max(TOLERANCE, 2 * rounding):.2g} is rounding.",
            )
    shape = tuple(size.dim_param or size.dim_value for size in model.graph.input[0].type.tensor_type.shape.dim)
    return Graph(model, name, shape, difference)


def _exported(network: nn.Module, shape: tuple[int, ...], plan: Plan, output: str, refused: Refusal) -> Any:
    from torch.export import Dim

    sizes: dict[int, Any] = {0: Dim("batch")}
    if plan.dimension == 2 and plan.rules is None:
        sizes |= {axis: plan.multiple * Dim(name) for axis, name in ((2, "h"), (3, "w"))}
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)  # it misses torchvision, which is not used
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                network,
                (torch.zeros(shape),),
                dynamo=True,
                dynamic_shapes=(sizes,),
                input_names=[INPUT],
                output_names=[output],
                verbose=False,
            )
    except (torch.onnx.OnnxExporterError, RuntimeError) as error:
        raise refused("torch cannot write its network as ONNX", str(error).strip().partition("\n")[0][:300]) from error
    finally:
        log.setLevel(level)
    assert program is not None
    return _plain(program.model_proto)


def _plain(model: Any) -> Any:
    """Return a graph without notes on where its operations come from, which are paths of this computer."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.value_info, *graph.initializer, *graph.input, *graph.output):
        del part.metadata_props[:]
        part.ClearField("doc_string")
    for function in model.functions:
        for part in (function, *function.node, *function.value_info):
            del part.metadata_props[:]
            part.ClearField("doc_string")
    return model


def _noise(count: int, shape: tuple[int, ...]) -> Tensor:
    return torch.randn((count, *shape), generator=torch.Generator().manual_seed(count))


def _run(network: nn.Module, image: Tensor) -> NDArray[Any]:
    with torch.inference_mode():
        found: NDArray[Any] = network(image).numpy()
    return found


def _run_graph(model: Any, images: Sequence[Tensor]) -> list[NDArray[Any]]:
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return [session.run(None, {INPUT: image.numpy()})[0] for image in images]


def _difference(ones: Sequence[NDArray[Any]], others: Sequence[NDArray[Any]]) -> float:
    """Return the largest difference, relative to the largest output where that is above 1; NaN stays."""
    pairs = list(zip(ones, others, strict=True))
    if any(one.shape != other.shape for one, other in pairs):
        return float("inf")
    return float(np.max([np.abs(one - other).max() / max(1.0, float(np.abs(one).max())) for one, other in pairs]))


def _rows(segmenter: Segmenter) -> int:
    """Return the columns of the logits that share a softmax."""
    return len(segmenter.exclusive) + 1 if segmenter.exclusive else 0

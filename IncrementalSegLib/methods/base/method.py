"""The contract of a method: how a step keeps old knowledge.  One method is one file in ``methods/``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, TypeVar, get_args

from pydantic import Field
from torch import Tensor

from IncrementalSegLib.exemplars.selection import SelectionOptions
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.networks.config import SegmenterConfig
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.sampling.batch import Batch, PreparedCase
from IncrementalSegLib.structures import Structure
from IncrementalSegLib.types import Json, Source, StructureId


class MethodOptions(SelectionOptions):
    """Options of a method; the source of CLI flags, the panel's form and the version record.

    What is remembered after a step is an option of every method, because the method of the next step is
    not known yet; so are the learning rate of a later step and its batch normalisation.
    """

    descriptor_weights: str | None = None
    """File with the ImageNet weights of the descriptor, or ``download`` to allow their download once."""
    later_rate: float = Field(1.0, gt=0, le=1)
    """Factor on the learning rate in later steps."""
    warmup: float = Field(0.0, ge=0, lt=1)
    """Share of the training of a later step in which the learning rate rises from 0: Adam's first updates are large
    however small the gradients."""
    new_rate: float = Field(1.0, gt=0, le=100)
    """Factor on the learning rate of new structures' outputs in later steps. In `mib` and others they begin as shares
    of the background, and until they differ from it the rest of the network learns nothing of these structures."""
    norm: Literal["train", "freeze_after_first_step"] = "train"
    """Whether batch normalisation continues to learn its statistics in later steps; frozen, the model is normalised
    as the previous one is."""


OptionsT = TypeVar("OptionsT", bound=MethodOptions)

LABEL_TERMS = frozenset({"cross_entropy", "dice"})
"""Names that methods give to the terms by which labels teach."""


@dataclass(frozen=True)
class TrainingPhase:
    """A part of the training.

    Attributes:
        name: Shown to people.
        share: Fraction of the step's optimiser steps, 0..1; the shares of a method sum to 1.
        trains: ``"all"``, ``"new_outputs"`` (the outputs of the new structures only), or ``"own_parts"`` (outputs,
            trunks and branches that serve no other structure; all else is in eval mode and without gradients).
        learning_rate: Factor on the engine's learning rate.
        freeze_norm: Keep the running statistics of batch normalisation in the trunks that the teacher has.
        starts_over: The best weights of the phases before are not those to keep.
    """

    name: str
    share: float = 1.0
    trains: Literal["all", "new_outputs", "own_parts"] = "all"
    learning_rate: float = 1.0
    freeze_norm: bool = False
    starts_over: bool = False


class Method(ABC, Generic[OptionsT]):
    """Base of all methods.

    A method object holds its options and nothing else: all state is in ``ctx.memory``.  The class of its
    options is the generic parameter: ``class Mib(SoftmaxClasses[MibOptions])``.

    Attributes:
        registered_name: Set by ``@register``.
        Options: Class of the options, taken from the generic parameter.
        output: Form of the output, must match the model's: ``heads``, ``classes``, ``embedding``, ``dynamic`` or
            ``dynamic-text``.
        needs: Requirements of the second and later steps: ``teacher``, ``exemplars``, ``prototypes``, or
            ``memory:NAME`` for something that :meth:`remember` of this method leaves under :meth:`key`, about every
            structure or, as an object in ``ctx.memory.data``, about those in its list ``structures``.  The first step
            of a model needs nothing.
        draws_unlabelled: Whether the method draws batches from unlabelled scans, where there are some.
        reads_names: Whether the method uses the text embeddings of new structures, ``ctx.text``.
        keeps_tasks: Whether the kernels of earlier tasks stay as they are, so that the networks of a task memory whose
            kernels have owners stay valid; the memory is dropped otherwise.
        retains: Whether the method keeps old structures; ``False`` for the lower bounds of comparisons.
        guarantees: Whether training leaves every weight as it is that an old structure depends on.  The gate compares
            the weights, whatever the method says.
        source: Paper and equation.
    """

    registered_name: ClassVar[str]
    Options: ClassVar[type[MethodOptions]] = MethodOptions
    output: ClassVar[str]
    needs: ClassVar[frozenset[str]] = frozenset()
    draws_unlabelled: ClassVar[bool] = False
    reads_names: ClassVar[bool] = False
    keeps_tasks: ClassVar[bool] = False
    retains: ClassVar[bool] = True
    guarantees: ClassVar[bool] = False
    source: ClassVar[str]

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Take the class of the options from the generic parameter, or from its bound in a base class."""
        super().__init_subclass__(**arguments)
        for base in cls.__dict__.get("__orig_bases__", ()):
            for parameter in get_args(base):
                options = parameter.__bound__ if isinstance(parameter, TypeVar) else parameter
                if isinstance(options, type) and issubclass(options, MethodOptions):
                    cls.Options = options

    def __init__(self, options: OptionsT) -> None:
        self.options = options

    @classmethod
    def key(cls, name: str) -> str:
        """Return the name of something of this method in ``ctx.memory``."""
        return f"{cls.registered_name}/{name}"

    @abstractmethod
    def training_loss(self, batch: Batch, ctx: StepContext) -> dict[str, Tensor]:
        """Return the named terms of the loss (scalars); the engine sums, logs and back-propagates them."""

    def label_share(self, batch: Batch, ctx: StepContext) -> float:
        """Return the weight of the terms of the labels in the loss of a batch."""
        return 1.0

    def required(self) -> frozenset[str]:
        """Return what second and later steps need with these options: ``needs``, or more."""
        return self.needs

    def check(self, architecture: Json, improved: Sequence[Structure]) -> None:
        """Refuse a step before its scans are read.

        Args:
            architecture: Of the network that the step begins with.
            improved: Known structures that the step improves.

        Raises:
            ModelError: The method cannot do the step on this network.
        """

    def design(self, config: SegmenterConfig) -> SegmenterConfig:
        """Adjust the network of a new model, before its first step."""
        return config

    def grow(self, model: Segmenter, new: Sequence[StructureId], ctx: StepContext) -> None:
        """Add outputs for the structures that the model does not have yet."""
        model.add(new)

    def begin_step(self, ctx: StepContext) -> None:
        """Make passes over the data before training."""

    def rehearsal(self, ctx: StepContext) -> list[PreparedCase]:
        """Return the exemplars that make up the pool ``exemplar``."""
        return []

    def sources(self, ctx: StepContext) -> dict[Source, float]:
        """Return the probability of each pool; each batch comes from one pool and an empty pool is skipped."""
        return {"new": 1.0}

    def phases(self, ctx: StepContext) -> tuple[TrainingPhase, ...]:
        """Return the phases of the training, in order."""
        return (TrainingPhase("train", freeze_norm=self.freezes_norm(ctx)),)

    def freezes_norm(self, ctx: StepContext) -> bool:
        """Return whether the option ``norm`` freezes batch normalisation in this step."""
        return self.options.norm != "train" and ctx.step > 1

    def retry_batch(self, ctx: StepContext) -> None:
        """Undo what the loss of a batch has left in ``ctx.memory``: memory ran out, and it is tried again in parts."""

    def after_backward(self, ctx: StepContext) -> None:
        """Change gradients before the optimiser uses them."""

    def after_update(self, ctx: StepContext) -> None:
        """Change weights or running means after the optimiser step."""

    def next_scan(self, ctx: StepContext) -> None:
        """Go on to another scan of a correction session; ``ctx.cases`` are the pieces of the one before."""

    def remember(self, ctx: StepContext) -> None:
        """Add to ``ctx.memory``, under :meth:`key`, what this method alone needs next time.

        Voxel counts, prototypes and exemplars are kept by the engine after every step, whatever its
        method.
        """

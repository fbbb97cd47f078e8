"""Output of a network."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Features:
    """Feature maps of a trunk for ``(B, C, *S)``.

    Attributes:
        encoder: One map per level above the coarsest, finest first, before pooling.
        abstraction: ``(B, F, *S / 2**levels)``, the second convolution at the coarsest level after
            normalisation and ReLU, before dropout (Ozdemir 2018, Fig. 1).
        decoder: ``(B, F0, *S)``, the last map, before dropout: what prototypes are means of.
        decoder_dropped: The same after dropout, the input of the output.
    """

    encoder: tuple[Tensor, ...]
    abstraction: Tensor
    decoder: Tensor
    decoder_dropped: Tensor


@dataclass(frozen=True)
class Output:
    """Output of a segmenter.

    Attributes:
        logits: In the form of the model's output.  ``heads``: ``(B, K, 2, *S)``, background then
            foreground of each structure asked for.  ``classes``: ``(B, 1 + K, *S)``, background then all
            structures of the softmax in their order, whichever was asked for; then two columns for each structure
            asked for that has a head.  ``embedding``: background then all structures of the model, cosines over the
            temperature.  ``dynamic``, ``dynamic-text``: ``(B, K, *S)``, one score of each structure asked for.
        features: Of the first trunk.
    """

    logits: Tensor
    features: Features

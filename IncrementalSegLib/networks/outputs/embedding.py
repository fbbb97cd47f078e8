"""The output of the embedding family: a voxel belongs to the direction that its feature vector is most similar to.

After Chen et al. 2024 (arXiv 2405.16328), details inferred.  The features are vectors of unit length with 513
dimensions.  The first is the direction of the background, our own choice; the other 512 are those of text embeddings,
and each structure has an orthonormal direction in them.  The network's form does not depend on how many there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.networks.config import SegmenterConfig
from IncrementalSegLib.networks.growing import GrowingOutput
from IncrementalSegLib.networks.host import picked
from IncrementalSegLib.networks.orthonormal import next_direction
from IncrementalSegLib.networks.output import Features
from IncrementalSegLib.networks.text import TEXT_WIDTH, TextEmbedding
from IncrementalSegLib.registry import find, register
from IncrementalSegLib.types import Json, StructureId

TEMPERATURE = 0.1
"""Of the softmax over cosines; inferred, the usual value of contrastive learning."""

HIDDEN = 32
"""Width of the layer between the trunk's features and the 513 dimensions; our own choice.  Without it the vectors of
all voxels lie in a space of as many dimensions as the trunk has features, 16 in the preset quick; with 64 a training
step takes a third longer."""

_JITTER = 1e-7  # of the mean on the diagonal; keeps the Gram matrix positive in single precision
_OFF = 1e-4  # largest error of the product of two directions, by rounding

_SHORTEST = 1e-12  # square of the length below which a vector has no direction


@dataclass(frozen=True)
class DirectionRow:
    """Place and origin of a structure's direction.

    Attributes:
        row: Row of ``directions``.
        source: As in :class:`~IncrementalSegLib.networks.orthonormal.Direction`.
        residual: The same.
    """

    row: int
    source: str = ""
    residual: float = 0.0


@register("output", "embedding")
class Embedding(GrowingOutput):
    """Features of unit length, and a buffer of orthonormal directions; up to 512 structures.

    A structure that was added has no direction yet: :meth:`orient` gives it one.

    Attributes:
        directions: ``(512, 512)``, one row per structure, zero where free.
        known_above: Cosine below which a voxel is similar to nothing, not even to the background; -1 until it is
            calibrated.
    """

    exclusive = True
    most = TEXT_WIDTH
    directions: Tensor
    known_above: Tensor

    def __init__(self, config: SegmenterConfig) -> None:
        super().__init__()
        self.dimension = find("network", config.network).dimension
        self.places: dict[StructureId, DirectionRow] = {}
        self.layers = nn.ModuleDict()
        self._settled: tuple[Tensor, Tensor] | None = None
        self.register_buffer("directions", torch.zeros(TEXT_WIDTH, TEXT_WIDTH))
        self.register_buffer("known_above", torch.tensor(-1.0))

    def add(self, structure: StructureId, channels: int) -> None:
        """Reserve a free row, and make the layers before the first.

        Raises:
            ModelError: No row is free.
        """
        self.require_room(len(self.places) + 1)
        if not self.layers:
            convolution = nn.Conv2d if self.dimension == 2 else nn.Conv3d
            self.layers["hidden"] = convolution(channels, HIDDEN, kernel_size=1)
            self.layers["project"] = convolution(HIDDEN, 1 + TEXT_WIDTH, kernel_size=1, bias=False)
        taken = {place.row for place in self.places.values()}
        self.places[structure] = DirectionRow(next(row for row in range(TEXT_WIDTH) if row not in taken))

    @torch.no_grad()
    def orient(self, structure: StructureId, embedding: TextEmbedding) -> DirectionRow:
        """Give a new structure its direction: the component of a text embedding orthogonal to all earlier ones.

        Args:
            structure: Added before.
            embedding: Of its name.

        Returns:
            Row, source and residual of the direction.
        """
        row = self.places[structure].row
        others = [place.row for item, place in self.places.items() if item != structure]
        found = next_direction(embedding, self.directions[others].double().cpu().numpy())
        self.directions[row] = torch.from_numpy(found.vector).to(self.directions)
        self.places[structure] = DirectionRow(row, found.source, min(1.0, found.residual))
        return self.places[structure]

    def remove(self, structure: StructureId) -> None:
        """Free the row of a structure; the other directions stay."""
        self.directions[self.places.pop(structure).row] = 0

    def part(self, structure: StructureId) -> nn.Module:
        """Return an empty module: no weight belongs to one structure alone."""
        return nn.Module()

    def arrangement(self) -> Json:
        """Return row, source and residual of each structure's direction."""
        return {structure: asdict(place) for structure, place in self.places.items()}

    def arrange(self, arrangement: Json) -> None:
        """Give the structures the rows of :meth:`arrangement`.

        Raises:
            ModelError: It does not fit the structures.
        """
        complete = {item: entry for item, entry in arrangement.items() if "row" in entry}
        places = {item: DirectionRow(**complete[item]) for item in self.places if item in complete}
        rows = {place.row for place in places.values()}
        whole = set(arrangement) == set(self.places) == set(places)
        if not whole or len(rows) != len(places) or not rows <= set(range(TEXT_WIDTH)):
            raise ModelError(
                "The directions of the network are not those of its structures.",
                todo="The model folder is damaged; go back to another version.",
            )
        self.places = places

    def fault(self) -> str:
        """Return that the directions of the structures are not orthonormal, if so."""
        chosen = self.directions[[place.row for place in self.places.values()]].double()
        off = (chosen @ chosen.T - torch.eye(len(chosen), dtype=torch.float64)).abs().max()
        return "the directions of its structures are not orthonormal" if off > _OFF else ""

    def forward(self, features: Features, structures: Sequence[StructureId]) -> Tensor:
        """Return the cosines ``(B, 1 + N, *S)`` with the background and all N structures over the temperature.

        For a feature vector ``z = W h`` of the hidden layer's h only ``P z`` and the length of z are needed, which is
        that of ``R h`` for the Cholesky factor R of the Gram matrix of W.  Feature maps of 513 channels never exist,
        and each structure costs no more than one row of a 1x1 convolution.
        """
        hidden = self.hidden(features.decoder_dropped)
        factor, rows = self._settled or self._maps()
        length = self._convolve(hidden, factor).float().square().sum(1, keepdim=True).clamp_min(_SHORTEST).sqrt()
        return self._convolve(hidden * (1 / (length * TEMPERATURE)).to(hidden), rows)

    @torch.no_grad()
    def settle(self) -> None:
        """Compute the linear maps of :meth:`forward` once."""
        self._settled = self._maps()

    def _maps(self) -> tuple[Tensor, Tensor]:
        """Return R ``(32, 32)``, and the rows ``(1 + N, 32)`` whose products with h are those of P and z."""
        weight = self._projection()
        with torch.autocast(weight.device.type, enabled=False):
            chosen = picked(self.directions, [place.row for place in self.places.values()], 0)
            gram = weight.T @ weight
            jitter = _JITTER * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
            factor = torch.linalg.cholesky_ex(gram + jitter).L.mT  # whose check of the result would wait for a GPU
            return factor, torch.cat([weight[:1], chosen @ weight[1:]])

    def hidden(self, features: Tensor) -> Tensor:
        """Return the values ``(B, 32, *S)`` of the hidden layer for ``(B, F, *S)``."""
        values: Tensor = self.layers["hidden"](features).relu()
        return values

    def vectors(self, features: Tensor) -> Tensor:
        """Return the unit vectors ``(N, 513)`` of single voxels with features ``(N, F)``."""
        ones = [1] * self.dimension
        hidden = self.hidden(features.float().view(*features.shape, *ones))
        return F.normalize(self.layers["project"](hidden).flatten(1), dim=1)

    def alignment(self, hidden: Tensor, other: Embedding, other_hidden: Tensor) -> Tensor:
        """Return the cosine ``(B, 1, *S)`` between the feature vectors of two networks, in float32.

        Args:
            hidden: ``(B, 32, *S)``, of this network.
            other: The output of the other network.
            other_hidden: ``(B, 32, *S)``, of the other network.
        """
        with torch.autocast(hidden.device.type, enabled=False):
            one, two = hidden.float(), other_hidden.float()
            lengths = self._products(one, self, one) * other._products(two, other, two)
            return self._products(one, other, two) / lengths.clamp_min(_SHORTEST).sqrt()

    def similarities(self, logits: Tensor, structures: Sequence[StructureId]) -> Tensor:
        """Return the cosines ``(B, K + 1, *S)`` with each structure asked for, then the largest with anything."""
        cosines = logits.float() * TEMPERATURE
        order = list(self.places)
        asked = picked(cosines, [1 + order.index(item) for item in structures])
        return torch.cat([asked, cosines.amax(1, keepdim=True)], dim=1)

    def probabilities(self, logits: Tensor, structures: Sequence[StructureId]) -> Tensor:
        """Return the probability ``(B, K, *S)`` of each structure asked for, in float32."""
        found = logits.float().softmax(dim=1)[:, 1:]
        order = list(self.places)
        return picked(found, [order.index(item) for item in structures])

    def _products(self, hidden: Tensor, other: Embedding, other_hidden: Tensor) -> Tensor:
        """Return the scalar products ``(B, 1, *S)`` of the feature vectors of this network and another one."""
        mapped = self._convolve(hidden, other._projection().T @ self._projection())
        return (mapped * other_hidden).sum(1, keepdim=True)

    def _projection(self) -> Tensor:
        """Return the weight W ``(513, 32)`` of the map from the hidden layer."""
        return self.layers["project"].get_parameter("weight").flatten(1)

    def _convolve(self, image: Tensor, weight: Tensor) -> Tensor:
        """Apply a linear map ``(M, 32)`` to each voxel."""
        convolve = F.conv2d if self.dimension == 2 else F.conv3d
        result: Tensor = convolve(image, weight.unflatten(1, (-1, *[1] * self.dimension)))
        return result

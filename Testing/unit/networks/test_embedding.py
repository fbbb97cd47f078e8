"""The embedding output: equal to the literal way, of one form for any number of structures, growing without a trace."""

import numpy as np
import pytest
import torch
from tiny import segmenter
from torch.nn import functional as F

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.networks.outputs.embedding import TEMPERATURE
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.networks.text import TextEmbedding, seeded_direction, seeded_embedding

IMAGES = {2: (3, 1, 16, 8), 3: (2, 1, 8, 4, 8)}
A, B, C = (letter * 32 for letter in "abc")


def taught(model, names):
    for name in names:
        model.add([name])
        model.output.orient(name, seeded_embedding(name))


def network(names=(A, B), dimension=2, **config):
    model = segmenter((), network=f"unet{dimension}d", output="embedding", **config)
    taught(model, names)
    return model.eval()


def image(dimension=2):
    return torch.randn(IMAGES[dimension], generator=torch.Generator().manual_seed(1))


def literal(model, features):
    """Return the feature vectors of every voxel, 513 channels, and the directions beside the background's."""
    output = model.output
    vectors = F.normalize(output.layers["project"](output.layers["hidden"](features).relu()), dim=1)
    rows = [place.row for place in output.places.values()]
    directions = torch.cat([torch.eye(513)[:1], F.pad(output.directions[rows], (1, 0))])
    return vectors, directions


@pytest.mark.parametrize("dimension", [2, 3])
def test_the_short_way_equals_the_literal_one(dimension):
    model = network([f"{number:032x}" for number in range(9)], dimension)
    with torch.no_grad():
        found = model(image(dimension))
        vectors, directions = literal(model, found.features.decoder)
        cosines = torch.einsum("cd,bd...->bc...", directions, vectors)
    assert cosines.std() > 0.01
    torch.testing.assert_close(found.logits * TEMPERATURE, cosines, atol=1e-5, rtol=0)
    torch.testing.assert_close(
        model.probabilities(found.logits), (cosines / TEMPERATURE).softmax(1)[:, 1:], atol=1e-5, rtol=0
    )


def test_gradients_of_the_short_way_are_those_of_the_literal_one():
    model = network()
    random = torch.randn(3, 3, 16, 8, generator=torch.Generator().manual_seed(2))

    def gradients(short):
        model.zero_grad()
        found = model(image())
        vectors, directions = literal(model, found.features.decoder)
        cosines = torch.einsum("cd,bdhw->bchw", directions, vectors)
        ((found.logits * TEMPERATURE if short else cosines) * random).sum().backward()
        return {name: value.grad.clone() for name, value in model.named_parameters()}

    one, other = gradients(True), gradients(False)
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=1e-3, atol=1e-4)
        assert value.any()


def test_the_network_has_one_form_for_one_and_for_fifty_structures():
    one, fifty = network([A]).state_dict(), network([f"{number:032x}" for number in range(50)]).state_dict()
    assert {name: value.shape for name, value in one.items()} == {name: value.shape for name, value in fifty.items()}


def test_a_structure_more_leaves_the_directions_and_cosines_of_the_others_as_they_were():
    model = network()
    with torch.no_grad():
        before, state = model(image()).logits, {name: value.clone() for name, value in model.state_dict().items()}
        taught(model, [C])
        after = model(image()).logits
    assert torch.equal(model.output.directions[:2], state["output.directions"][:2])
    torch.testing.assert_close(after[:, :3], before, rtol=1e-6, atol=1e-6)
    assert {name for name, value in model.state_dict().items() if not torch.equal(value, state[name])} == {
        "output.directions"
    }


def test_removing_frees_a_direction_and_changes_no_other():
    model = network([A, B, C])
    kept = model.output.directions[[0, 2]].clone()
    model.remove(B)
    assert torch.equal(model.output.directions[[0, 2]], kept)
    taught(model, ["d" * 32])
    assert model.output.places["d" * 32].row == 1
    directions = model.output.directions[:3].double()
    torch.testing.assert_close(directions @ directions.T, torch.eye(3).double(), atol=1e-6, rtol=0)
    assert model(image()).logits.shape == (3, 4, 16, 8)


def test_it_is_rebuilt_with_the_order_of_learning_and_the_rows():
    model = network([C, A, B])
    model.remove(A)
    taught(model, ["d" * 32])
    again = Segmenter.from_architecture(model.architecture(), model.state_dict()).eval()
    assert again.structures == (C, B, "d" * 32)
    assert again.output.places == model.output.places
    with torch.no_grad():
        assert torch.equal(again(image()).logits, model(image()).logits)
    assert again.exclusive


@pytest.mark.parametrize("wrong", [{}, {A: {"row": 1}, B: {"row": 1}}, {A: {"row": 0}, B: {"row": 512}}])
def test_an_arrangement_that_does_not_fit_is_refused(wrong):
    model = network()
    with pytest.raises(ModelError, match="not those of its structures"):
        Segmenter.from_architecture(model.architecture() | {"output": wrong}, model.state_dict())


def test_there_is_room_for_512_structures():
    model = segmenter((), output="embedding")
    model.add([f"{number:032x}" for number in range(512)])
    with pytest.raises(ModelError, match="know 513 structures, and its network has room for 512"):
        model.add([A])


def test_a_name_that_brings_nothing_new_gets_a_direction_of_its_own():
    model = network([A])
    model.add([B])
    place = model.output.orient(B, TextEmbedding("twin", seeded_direction(A), "table"))
    assert place.source == "seeded"
    assert place.residual < 1e-3
    assert np.isclose(model.output.directions[:2].norm(dim=1), 1).all()


def test_alignment_is_the_cosine_between_two_networks():
    one, other = network(), network(seed=1)
    with torch.no_grad():
        features = [model(image()).features.decoder for model in (one, other)]
        hidden = [model.output.hidden(item) for model, item in zip((one, other), features, strict=True)]
        found = one.output.alignment(hidden[0], other.output, hidden[1])
        vectors = [literal(model, item)[0] for model, item in zip((one, other), features, strict=True)]
    torch.testing.assert_close(found, (vectors[0] * vectors[1]).sum(1, keepdim=True), atol=1e-5, rtol=0)
    torch.testing.assert_close(one.output.alignment(hidden[0], one.output, hidden[0]), torch.ones_like(found))


def test_vectors_of_single_voxels_are_those_of_the_image():
    model = network()
    with torch.no_grad():
        features = model(image()).features.decoder
        vectors, _ = literal(model, features)
        found = model.output.vectors(features[1, :, 3, 4].unsqueeze(0))
    torch.testing.assert_close(found[0], vectors[1, :, 3, 4])

"""Heads generated from text embeddings: what a name gives, and that it stays with its structure."""

from dataclasses import replace

import torch
from tiny import BAR, DISC, SQUARE, TEXT, segmenter
from torch.nn import functional as F

from IncrementalSegLib.networks.outputs.dynamic_text import CODE
from IncrementalSegLib.networks.segmenter import Segmenter

IMAGE = torch.randn(2, 1, 16, 8, generator=torch.Generator().manual_seed(1))


def network(names=(DISC, SQUARE)):
    model = segmenter(names, output="dynamic-text").eval()
    model.output.read({name: TEXT[name] for name in names})
    return model


def test_the_controller_sees_the_scan_beside_the_code_that_is_read_from_the_name():
    model = network()
    shared = model.output.shared
    text = torch.stack([torch.from_numpy(TEXT[name].vector) for name in (DISC, SQUARE)]).float()
    code = F.relu(F.linear(text, shared["read"].weight, shared["read"].bias))
    assert code.shape == (2, CODE)
    pooled = torch.randn(2, 16)
    together = F.linear(
        torch.cat([pooled, code], dim=1),  # as the paper has it: one linear map of both
        torch.cat([shared["controller"].weight, shared["code"].weight], dim=1),
        shared["controller"].bias,
    )
    apart = shared["controller"](pooled) + model.output.selected((DISC, SQUARE))
    torch.testing.assert_close(apart, together)


def test_names_of_one_embedding_have_one_output_and_others_differ():
    model = network((DISC, SQUARE, BAR))
    model.output.read({BAR: TEXT[DISC]})
    with torch.no_grad():
        found = model(IMAGE).logits
    assert torch.equal(found[:, 0], found[:, 2])
    assert not torch.allclose(found[:, 0], found[:, 1])


def test_an_embedding_that_tells_nothing_apart_is_known():
    output = network().output
    assert output.tells_apart(TEXT[BAR])
    assert not output.tells_apart(TEXT[DISC])
    assert not output.tells_apart(replace(TEXT[BAR], vector=0 * TEXT[BAR].vector))


def test_a_structure_more_adds_a_vector_and_changes_no_output():
    model = network()
    with torch.no_grad():
        before = model(IMAGE).logits
        weights = {name for name, _ in model.named_parameters()}
        model.add([BAR])
        model.output.read({BAR: TEXT[BAR]})
        assert torch.equal(model(IMAGE, (DISC, SQUARE)).logits, before)
        model.remove(DISC)
        torch.testing.assert_close(model(IMAGE, (SQUARE,)).logits, before[:, 1:])
    assert {name for name, _ in model.named_parameters()} == weights


def test_it_is_rebuilt_with_its_text_embeddings():
    model = network()
    again = Segmenter.from_architecture(model.architecture(), model.state_dict()).eval()
    with torch.no_grad():
        assert torch.equal(again(IMAGE).logits, model(IMAGE).logits)

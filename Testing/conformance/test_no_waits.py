"""A training step of any method gives a GPU its orders without waiting for an answer."""

import pytest
import torch
from accelerator import DEVICE, DeviceTensor, WaitedError, move, moved, watched
from tiny import context, method
from tiny import trainer as trainer_of

from IncrementalSegLib.registry import names

ONCE = {"packnet": "frees weights at the first step of its second phase"}
"""Methods that wait at the first step of a phase, and why."""


@pytest.mark.parametrize("name", names("method"))
def test_a_training_step_never_waits(name):
    chosen = method(name)
    ctx = context(chosen)
    trainer = trainer_of(chosen, ctx)
    batches = [trainer.batch(index) for index in range(4)]
    for network in filter(None, (ctx.model, ctx.teacher_model)):
        move(network)
    ctx.memory.tensors = {key: moved(value) for key, value in ctx.memory.tensors.items()}
    ctx.device = DEVICE
    for phase in chosen.phases(ctx):
        optimiser = torch.optim.SGD(trainer._parameters(phase), lr=0.01)  # Adam counts its steps on the CPU
        with watched(refuse=name not in ONCE):
            terms = trainer.update(batches[0].to(DEVICE), phase, optimiser)
        with watched():
            for batch in batches:
                terms = trainer.update(batch.to(DEVICE), phase, optimiser)
                trainer.state.sums.add(terms, 1)
        assert all(isinstance(term, DeviceTensor) and term.held.isfinite() for term in terms.values())


@pytest.mark.parametrize(
    "wait",
    [
        lambda tensor: float(tensor[0]),
        lambda tensor: bool((tensor > 0).all()),
        lambda tensor: tensor.cpu(),
        lambda tensor: tensor.nonzero(),
        lambda tensor: tensor[tensor > 0],
        lambda tensor: tensor[[2, 0]],
        lambda tensor: tensor + torch.ones(3).to(DEVICE),
        lambda tensor: tensor + torch.tensor([1.0, 2.0, 3.0], device=DEVICE),
        lambda tensor: torch.ones(3).copy_(tensor),
        lambda tensor: torch.linalg.cholesky(torch.outer(tensor, tensor)),
    ],
)
def test_what_waits_is_seen(wait):
    tensor = moved(torch.tensor([1.0, -2.0, 3.0]))
    with watched(), pytest.raises(WaitedError):
        wait(tensor)


def test_what_does_not_wait_computes_the_same():
    tensor = moved(torch.tensor([1.0, -2.0, 3.0])).requires_grad_()
    with watched():
        found = (tensor * torch.arange(3, device=DEVICE)).relu().sum()
        found.backward()
    assert found.held == 6
    assert tensor.grad.held.tolist() == [0.0, 0.0, 2.0]
    with watched(), pytest.raises(AssertionError, match="host and of the device"):
        tensor + torch.ones(3)

"""A training step of any method gives a GPU its orders without waiting for an answer."""

from dataclasses import replace

import pytest
import torch
from accelerator import DEVICE, DeviceTensor, WaitedError, move, moved, watched
from tiny import context, method
from tiny import trainer as trainer_of

from IncrementalSegLib.registry import names
from IncrementalSegLib.sampling.augmentation import Augmentation

ONCE = {"packnet": "frees weights at the first step of its second phase"}
"""Methods that wait at the first step of a phase, and why."""


@pytest.mark.parametrize("name", names("method"))
def test_a_training_step_never_waits(name):
    chosen = method(name)
    ctx = context(chosen)
    trainer = on_device(trainer_of(chosen, ctx))
    for network in filter(None, (ctx.model, ctx.teacher_model)):
        move(network)
    ctx.memory.tensors = {key: moved(value) for key, value in ctx.memory.tensors.items()}
    for phase in chosen.phases(ctx):
        optimiser = torch.optim.SGD(trainer._parameters(phase), lr=0.01)  # Adam counts its steps on the CPU
        with watched(refuse=name not in ONCE):
            terms = trainer.step(0, phase, optimiser)
        with watched():
            for index in range(2):
                terms = trainer.step(index, phase, optimiser)
                trainer.state.sums.add(terms, 1)
        assert all(isinstance(term, DeviceTensor) and term.held.isfinite() for term in terms.values())


@pytest.mark.parametrize("room", [10**9, 50_000, 0])
@pytest.mark.parametrize("dimension", [2, 3])
def test_a_batch_is_the_same_on_the_device(room, dimension):
    chosen = method("lwfseg")
    trainer = trainer_of(chosen, context(chosen, dimension=dimension), augmentation=Augmentation(share=1.0, noise=0.0))
    expected = [trainer.batch(index) for index in range(3)]
    on_device(trainer, room)
    batches = []
    with trainer.batches.ahead():  # a thread where cases did not fit
        for index in range(3):
            with watched():
                batches.append(trainer.batch(index))
    for batch, wanted in zip(batches, expected, strict=True):
        assert torch.equal(batch.label.held, wanted.label)
        assert torch.equal(batch.ignore.held, wanted.ignore)
        torch.testing.assert_close(batch.image.held, wanted.image)


def on_device(trainer, room=10**9):
    """Make the batches of a training on the device, of cases that lie there as far as the room allows."""
    trainer.ctx.device, trainer.runtime = DEVICE, replace(trainer.runtime, device=DEVICE)
    with watched():
        for pool in trainer.pools.values():
            pool.move(DEVICE, room)
    return trainer


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

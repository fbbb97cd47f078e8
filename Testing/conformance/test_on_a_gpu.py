"""On a real GPU: a training step never waits, and batches and outlines are those of the CPU."""

import pytest
import torch
from tiny import context, method
from tiny import trainer as trainer_of

from IncrementalSegLib import learn, segment
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.registry import names
from IncrementalSegLib.sampling.augmentation import Augmentation
from IncrementalSegLib.sampling.phantom import write_phantom_dataset

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("name", names("method"))
def test_a_training_step_never_waits(name):
    assert_never_waits(on_gpu(trainer_of(method(name), context(method(name)))))


def test_a_training_step_never_waits_for_what_a_thread_has_cut():
    trainer = on_gpu(trainer_of(method("aeiseg"), context(method("aeiseg"))), room=0)
    random = torch.Generator().manual_seed(0)
    assert all(item.image.is_pinned() for pool in trainer.pools.values() for item in pool.cut(2, random))
    with trainer.batches.ahead():
        assert_never_waits(trainer)


def assert_never_waits(trainer):
    for phase in trainer.method.phases(trainer.ctx):
        optimiser = trainer.optimiser(phase)
        trainer.step(0, phase, optimiser)  # what is set up once may wait
        torch.cuda.set_sync_debug_mode("error")
        try:
            terms = [trainer.step(index, phase, optimiser) for index in range(1, 5)]
        finally:
            torch.cuda.set_sync_debug_mode("default")
        assert all(term.isfinite() for each in terms for term in each.values())


@pytest.mark.parametrize("room", [10**9, 0])
@pytest.mark.parametrize("dimension", [2, 3])
def test_a_batch_is_that_of_the_cpu(room, dimension):
    chosen = method("lwfseg")
    trainer = trainer_of(chosen, context(chosen, dimension=dimension), augmentation=Augmentation(share=1.0, noise=0.0))
    expected = [trainer.batch(index) for index in range(3)]
    on_gpu(trainer, room)
    with trainer.batches.ahead():  # a thread where cases did not fit
        batches = [trainer.batch(index) for index in range(3)]
    for batch, wanted in zip(batches, expected, strict=True):
        assert batch.image.is_cuda
        torch.testing.assert_close(batch.image.cpu(), wanted.image, atol=1e-4, rtol=0)
        assert (batch.label.cpu() != wanted.label).float().mean() < 1e-3  # a nearest neighbour may be the other one
        assert (batch.ignore.cpu() != wanted.ignore).float().mean() < 1e-3


def test_a_model_of_the_gpu_finds_the_same_on_the_cpu(tmp_path):
    data = write_phantom_dataset(tmp_path / "data", 4, "A", ["humerus"], 0, (8, 64, 64))
    learn(tmp_path / "model", data, "humerus", steps=60, device="cuda", accept="always")
    scan = next((data / "imagesTr").glob("*.nii.gz"))
    found = {
        device: segment(tmp_path / "model", scan, tmp_path / device, device=device).millilitres["humerus"][0]
        for device in ("cuda", "cpu")
    }
    assert found["cuda"] == pytest.approx(found["cpu"], rel=0.01)
    assert found["cpu"] > 0


def on_gpu(trainer, room=10**9):
    """Move a training to the GPU, with its cases as far as the room allows."""
    trainer.runtime = runtime = start("cuda")
    ctx, dimension = trainer.ctx, trainer.ctx.plan.dimension
    ctx.device = runtime.device
    for network in filter(None, (ctx.model, ctx.teacher_model)):
        runtime.place(network, dimension)
    ctx.memory.tensors = {key: value.to(runtime.device) for key, value in ctx.memory.tensors.items()}
    for pool in trainer.pools.values():
        pool.move(runtime.device, room)
    return trainer

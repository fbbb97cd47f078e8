import torch
from hypothesis import given
from hypothesis import strategies as st

from IncrementalSegLib.prototypes.running import RunningMeans


@given(st.lists(st.integers(0, 6), min_size=1, max_size=6), st.integers(0, 99))
def test_batches_of_any_size_give_the_mean_over_all(sizes, seed):
    random = torch.Generator().manual_seed(seed)
    batches = [torch.randn(size, 3, generator=random, dtype=torch.float64) + 5 for size in sizes]
    running = RunningMeans.empty(2, 3, torch.device("cpu"))
    for vectors in batches:
        means = torch.stack([vectors.sum(0) / max(len(vectors), 1), torch.zeros(3, dtype=torch.float64)])
        running = running.updated(means, torch.tensor([len(vectors), 0]))
    every = torch.cat(batches)
    assert running.counts.tolist() == [len(every), 0]
    torch.testing.assert_close(running.means[0], every.sum(0) / max(len(every), 1))
    assert running.means[1].abs().max() == 0


def test_a_hundred_million_voxels_do_not_drown_a_batch():
    many = RunningMeans(torch.tensor([[1.0]], dtype=torch.float64), torch.tensor([10**8]))
    moved = many.updated(torch.tensor([[3.0]]), torch.tensor([1]))
    assert float(moved.means) == 1 + 2 / (10**8 + 1)


def test_no_gradient_flows_into_the_means():
    batch = torch.ones(1, 2, requires_grad=True)
    assert not RunningMeans.empty(1, 2, torch.device("cpu")).updated(batch, torch.tensor([4])).means.requires_grad

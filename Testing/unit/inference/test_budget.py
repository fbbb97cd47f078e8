import pytest
import torch
from tiny import CPU, DISC, case, plan, segmenter

from IncrementalSegLib.inference.budget import MemoryBudget, on_device, where_it_fits
from IncrementalSegLib.inference.predictor import Predictor
from IncrementalSegLib.networks.segmenter import Segmenter

CUDA = torch.device("cuda")


def test_what_is_given_up_and_in_which_order():
    budget, tried = MemoryBudget(4, CUDA, CUDA), []
    while (budget := budget.reduced()) is not None:
        tried.append(str(budget))
    assert tried == [
        "2 per pass on CUDA",
        "1 per pass on CUDA",
        "1 per pass on CUDA, stitched on the CPU",
        "1 per pass on CPU",
    ]
    assert MemoryBudget(1, CPU, CPU).reduced() is None


def test_large_maps_are_put_together_on_the_cpu():
    assert MemoryBudget(4, CUDA, CUDA).holding(2**31).stitch == CUDA
    assert MemoryBudget(4, CUDA, CUDA).holding(2**31 + 4) == MemoryBudget(4, CUDA, CPU)


def test_what_does_not_fit_on_the_device_is_done_on_the_cpu(monkeypatch):
    def work(device):
        tried.append(device)
        if device == CUDA:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return 3

    tried = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    assert where_it_fits(CUDA, work) == 3
    assert tried == [CUDA, CPU]


def test_a_model_comes_home_even_after_an_error():
    class Noted(torch.nn.Module):
        def to(self, device):
            places.append(device)

    places = []
    with on_device(Noted(), CUDA, CUDA):
        pass
    assert places == []
    with pytest.raises(KeyError), on_device(Noted(), CUDA, CPU):
        raise KeyError
    assert places == [CPU, CUDA]


@pytest.mark.parametrize("dimension", [2, 3])
def test_a_smaller_batch_gives_the_same_result(dimension, monkeypatch, caplog):
    model = segmenter((DISC,), network=f"unet{dimension}d")
    predictor, image = Predictor(model, plan(dimension), CPU), case("a", [DISC]).image
    expected = predictor.probabilities(image, [DISC])
    forward, sizes = Segmenter.forward, []

    def limited(self, batch, *args):
        sizes.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, batch, *args)

    monkeypatch.setattr(Segmenter, "forward", limited)
    torch.testing.assert_close(predictor.probabilities(image, [DISC]), expected)
    assert predictor.budget.batch == 2
    assert "Out of memory" in caplog.text
    sizes.clear()
    predictor.probabilities(image, [DISC])
    assert max(sizes) <= 2  # it is not tried again


def test_what_does_not_fit_at_all_is_raised(monkeypatch):
    def never(self, batch, *args):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Segmenter, "forward", never)
    with pytest.raises(torch.OutOfMemoryError):
        Predictor(segmenter((DISC,)), plan(), CPU).probabilities(case("a", [DISC]).image, [DISC])

"""The task memory: scans retrieve the masks of similar ones, and one task changes nothing."""

import copy

import pytest
import torch
from tiny import DISC, SQUARE, bits, changed, segmenter
from torch.distributions import Independent, Normal, kl_divergence

from IncrementalSegLib.networks.bayesian import layers_of
from IncrementalSegLib.networks.scan_encoder import SIDE, ScanEmbedding, slices_of
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.networks.task_memory import TaskMemory, distances, divergence, scans_in, without_scans

KINDS = ("rows", "columns", "half")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def scan(kind, seed):
    """Return a scan ``(1, 4, 32, 32)`` of one of three kinds that a person tells apart at once."""
    random = generator(seed)
    line = torch.arange(32).float()
    wave = (line / (2.5 + 0.2 * torch.rand((), generator=random))).sin()
    picture = {
        "rows": wave[:, None].expand(32, 32),
        "columns": wave[None].expand(32, 32),
        "half": (8.0 * (line[:, None] > 16) - 4).expand(32, 32),  # unlike whatever the encoder makes of it
    }[kind]
    return (picture + 0.2 * torch.randn(1, 4, 32, 32, generator=random)).half()


def name(kind, seed):
    return f"{KINDS.index(kind):02x}{seed:062x}"


def scans(kind, count=8):
    return {name(kind, seed): scan(kind, seed) for seed in range(count)}


def bayesian(prior="stick_breaking"):
    model = segmenter(network="unet2d-bayes", dropout=0.0, output="classes", mask_prior=prior).eval()
    model.tasks = TaskMemory(model)
    return model


def move_masks(model, amount):
    with torch.no_grad():
        for _, mask in layers_of(model):
            for parameter in mask.parameters():
                parameter.add_(torch.rand(parameter.shape, generator=generator(9)), alpha=amount)


@pytest.fixture(scope="module")
def two():
    """A network with a task of rows and, since then, one of columns."""
    model = bayesian()
    model.tasks.learn_to_embed([*scans("rows").values()], generator())
    model.tasks.begin(model, scans("rows"))
    move_masks(model, -2.0)  # the first task ends with other masks than it began with
    model.first = bits(model)
    model.tasks.networks.store(model)
    model.tasks.begin(model, scans("columns"))
    move_masks(model, -2.0)
    return model


@torch.no_grad()
def seen(model, image):
    with model.as_of(max(model.tasks_for(image))):
        return model(image[:, 0][None].float()).logits


@torch.no_grad()
def test_divergences_are_those_of_normal_distributions():
    means, spreads = torch.randn(5, 7, generator=generator()), torch.rand(5, 7, generator=generator(1)) + 0.1
    found = ScanEmbedding(means, 2 * spreads.log())
    one = ScanEmbedding(found.mean[2], found.log_variance[2])
    normal = Independent(Normal(means, spreads), 1)
    alone = Independent(Normal(means[2], spreads[2]), 1)
    there, back = kl_divergence(alone, normal), kl_divergence(normal, alone)
    torch.testing.assert_close(divergence(one, found), there, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(divergence(found, one), back, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(distances(one, found), (there + back) / 2, rtol=1e-4, atol=1e-4)
    assert float(distances(one, found)[2]) == pytest.approx(0, abs=1e-5)


def test_slices_are_evenly_spaced_and_few():
    volume = torch.arange(40.0).view(1, 40, 1, 1).expand(1, 40, 9, 200)
    found = slices_of(volume)
    assert found.shape == (16, 1, SIDE, SIDE)
    assert found[:, 0, 0, 0].tolist() == pytest.approx(torch.linspace(0, 39, 16).round().tolist())
    assert slices_of(torch.zeros(3, 1, 50, 60)).shape == (1, 3, SIDE, SIDE)


def test_scans_retrieve_the_masks_of_their_task_and_an_unlike_one_those_of_the_first(two):
    first = bayesian()
    first.load_state_dict(two.first)
    rows, columns, half = (scan(kind, 77) for kind in KINDS)  # none of them taught
    assert [two.tasks.nearest(image) for image in (rows, columns, half)] == [0, 1, 0]
    image = rows[:, 0][None].float()
    with torch.no_grad():
        live, before = two(image).logits, first(image).logits
    assert not torch.equal(live, before)
    assert torch.equal(seen(two, rows), before)  # kernels did not change in between
    with torch.no_grad():
        assert torch.equal(seen(two, columns), two(columns[:, 0][None].float()).logits)
        assert torch.equal(seen(two, half), first(half[:, 0][None].float()).logits)


def test_beyond_the_limit_the_first_task_counts(two):
    assert 0 < float(two.tasks.limit) < 1e6
    strict = copy.deepcopy(two)
    strict.tasks.limit.fill_(0.0)
    assert strict.tasks.nearest(scan("columns", 77)) == 0
    loose = copy.deepcopy(two)
    loose.tasks.limit.fill_(1e30)
    half = loose.tasks.encoder.embed(scan("half", 77))
    row = int(distances(half, loose.tasks.embeddings).argmin())
    assert loose.tasks.nearest(scan("half", 77)) == int(loose.tasks.task[row])


def test_the_network_has_its_own_masks_again_afterwards(two):
    before = bits(two)
    inside = {}

    def fail():
        with two.as_of(0):
            inside.update(bits(two))
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail()
    assert changed(before, inside)
    assert all(torch.equal(value, before[key]) for key, value in two.state_dict().items())


def test_random_passes_draw_the_masks_of_the_task(two):
    rows = scan("rows", 77)
    image = rows[:, 0][None].float()
    live = [*two.monte_carlo(image, 2, generator())]
    with two.as_of(two.tasks.nearest(rows)):
        suited = [*two.monte_carlo(image, 2, generator())]
    assert not torch.equal(live[0], suited[0])


def test_one_task_and_none_change_nothing():
    model, image = bayesian("beta_bernoulli"), scan("rows", 0)
    with torch.no_grad():
        plain = model(image[:, 0][None].float()).logits
    assert torch.equal(seen(model, image), plain)
    model.tasks.learn_to_embed([image], generator())
    assert float(model.tasks.limit) >= 1e30  # nothing to compare a single scan with
    model.tasks.begin(model, {name("rows", 0): image})
    for other in ("rows", "half"):
        assert model.tasks_for(scan(other, 5)) == (0, 0)
        with model.as_of(0):
            assert torch.equal(model(image[:, 0][None].float()).logits, plain)


def test_it_is_rebuilt_from_the_weights(two):
    again = Segmenter.from_architecture(two.architecture(), two.state_dict())
    assert again.architecture() == two.architecture()
    assert again.architecture()["tasks"] is True
    assert [again.tasks.nearest(scan(kind, 77)) for kind in KINDS] == [0, 1, 0]
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in two.state_dict().items())
    empty = bayesian()
    again.load_state_dict(empty.state_dict())  # as undoing does
    assert again.tasks.newest == -1
    plain = segmenter(network="unet2d-bayes", dropout=0.0, output="classes")
    assert "tasks" not in plain.architecture()  # as older versions are
    assert Segmenter.from_architecture(plain.architecture(), plain.state_dict()).tasks is None


def test_a_scan_that_teaches_again_belongs_to_the_newest_task(two):
    model = copy.deepcopy(two)
    model.tasks.begin(model, {name("rows", 0): scan("rows", 0)})
    row = model.tasks.scans.index(name("rows", 0))
    assert int(model.tasks.task[row]) == 2
    assert model.tasks.scans.count(name("rows", 0)) == 1
    assert model.tasks.nearest(scan("rows", 0)) == 2


def test_forgotten_scans_are_no_neighbours(two):
    kept = without_scans(two.state_dict(), [*scans("columns")])
    assert scans_in(kept) == [*scans("rows")]
    model = Segmenter.from_architecture(two.architecture(), kept)
    assert model.tasks.newest == 1
    assert model.tasks.nearest(scan("columns", 77)) == 0
    assert model.tasks.forget([name("rows", 0), name("half", 0)]) == 1
    model.tasks.forget([*scans("rows")])
    assert model.tasks.nearest(scan("rows", 77)) == 1, "where no scan is known the newest task counts"


def test_training_leaves_the_encoder_alone(two):
    assert not any(item.requires_grad for item in two.tasks.parameters())
    assert all(item.grad is None for item in two.tasks.parameters())


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        ("tasks.task", torch.full((16,), 2), "names a task that it does not hold"),
        ("tasks.scan", torch.zeros(3, 32, dtype=torch.uint8), "does not describe all"),
        ("tasks.networks.level", torch.zeros(4, dtype=torch.int64), "its tasks differ in number"),
    ],
)
def test_tensors_from_elsewhere_are_checked(two, key, value, fault):
    assert two.tasks.fault() == ""
    model = Segmenter.from_architecture(two.architecture(), two.state_dict() | {key: value})
    assert fault in model.tasks.fault()


def test_a_packed_task_never_finds_a_structure_of_a_later_one_and_its_windows_can_be_added():
    model = segmenter((DISC,), output="classes").eval()
    image = torch.randn(2, 1, 32, 32)
    model.tasks = TaskMemory(model)
    for owner in model.tasks.networks.owners.values():
        owner.fill_(1)
    model.tasks.begin(model, {})
    before = model.probabilities(model(image).logits)
    model.add((SQUARE,))
    model.tasks.networks.extend(model)
    model.tasks.begin(model, {})
    with torch.no_grad(), model.as_of(0):
        logits = model(image).logits
    assert (16 * logits.half()).isfinite().all()  # the windows of an adopted network are added in 16 bits
    disc, square = model.probabilities(logits).unbind(1)
    assert torch.equal(square, torch.zeros_like(square))
    torch.testing.assert_close(disc, before[:, 0])

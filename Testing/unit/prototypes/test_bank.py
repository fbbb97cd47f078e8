import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.networks.config import SegmenterConfig
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.prototypes.bank import BACKGROUND, Prototype, PrototypeBank, class_means
from IncrementalSegLib.sampling.batch import PreparedCase

A, B = "a" * 32, "b" * 32
CPU = torch.device("cpu")


def segmenter(network="unet2d", own_trunk=False):
    torch.manual_seed(0)
    model = Segmenter(SegmenterConfig(network=network, widths=(4, 8)))
    model.add((A,))
    model.add((B,), own_trunk=own_trunk)
    return model.eval()


def case(shape=(3, 6, 7), looked_for=(A,), patient="p", seed=0, ignore=None):
    random = torch.Generator().manual_seed(seed)
    image = torch.randn(1, *shape, generator=random).half()
    masks = (torch.rand(len(looked_for), *shape, generator=random) < 0.3).to(torch.uint8)
    return PreparedCase("c", patient, image, tuple(looked_for), masks, ignore)


def prototype(mean, count, patients=2, layer="decoder"):
    return Prototype(torch.tensor(mean, dtype=torch.float64), count, patients, layer)


def test_merging_is_the_mean_over_all_voxels():
    merged = prototype([1.0, 10.0], 1).merged(prototype([4.0, 40.0], 2)).merged(prototype([0.0, 0.0], 3))
    assert merged.count == 6
    assert merged.mean.tolist() == pytest.approx([1.5, 15.0])


def test_prototypes_of_different_layers_do_not_merge():
    with pytest.raises(ModelError, match="cannot be merged"):
        prototype([1.0], 1).merged(prototype([1.0], 1, layer="abstraction"))


def test_a_step_averages_structures_and_replaces_the_background():
    old = PrototypeBank({A: prototype([0.0], 1), BACKGROUND: prototype([0.0], 100)})
    new = PrototypeBank({A: prototype([3.0], 2), B: prototype([5.0], 2), BACKGROUND: prototype([9.0], 1)})
    merged = old.merged(new)
    assert merged.matrix((A, B, BACKGROUND)).flatten().tolist() == pytest.approx([2.0, 5.0, 9.0])


def test_files_keep_everything(tmp_path):
    bank = PrototypeBank({A: prototype([1 / 3, 2.0], 10**9, 1), BACKGROUND: prototype([0.0, 1.0], 5)})
    data, tensors = bank.to_files()
    save_file(tensors, tmp_path / "bank.safetensors")
    again = PrototypeBank.from_files(data, load_file(tmp_path / "bank.safetensors"))
    assert torch.equal(again[A].mean, bank[A].mean)
    assert (again[A].count, again[A].patients, again[A].layer) == (10**9, 1, "decoder")
    with pytest.raises(ModelError, match="missing or damaged"):
        PrototypeBank.from_files(data, {})


def test_little_data_is_flagged():
    bank = PrototypeBank({A: prototype([1.0], 999), B: prototype([1.0], 10**6, 1), BACKGROUND: prototype([1.0], 1000)})
    flags = bank.flags()
    assert set(flags) == {A, B}
    assert "999 voxels" in flags[A]
    assert flags[B] == "one patient"


@pytest.mark.parametrize("network", ["unet2d", "unet3d"])
def test_class_means_equal_a_loop_over_the_features(network):
    model = segmenter(network)
    shape = (3, 6, 7) if network == "unet2d" else (4, 6, 8)
    ignore = torch.zeros(shape, dtype=torch.bool)
    ignore[:, 0] = True
    cases = [case(shape, (A, B), "p", 1, ignore), case(shape, (A, B), "q", 2)]
    bank = class_means(model.train(), cases, (A, B), CPU, batch=2)
    assert model.training
    model.eval()
    vectors = {A: [], B: [], BACKGROUND: []}
    for item in cases:
        images = item.image.movedim(1, 0).float() if network == "unet2d" else item.image[None].float()
        padded = F.pad(images, (0, 1, 0, 0), mode="replicate") if network == "unet2d" else images
        with torch.no_grad():
            decoder = model(padded).features.decoder[..., : shape[-1]]
        dense = decoder.movedim(1, 0) if network == "unet2d" else decoder[0]  # (F, D, H, W)
        valid = torch.ones(shape, dtype=torch.bool) if item.ignore is None else ~item.ignore
        for key, mask in {A: item.mask(A) > 0, B: item.mask(B) > 0, BACKGROUND: item.masks.sum(0) == 0}.items():
            vectors[key].append(dense[:, mask & valid].double())
    for key, parts in vectors.items():
        wanted = torch.cat(parts, dim=1)
        assert bank[key].count == wanted.shape[1]
        assert bank[key].patients == 2
        torch.testing.assert_close(bank[key].mean, wanted.mean(1), rtol=1e-5, atol=1e-7)


def test_unlabelled_is_not_background():
    model = segmenter()
    with torch.no_grad():
        model.output.part(B).score.bias += torch.tensor([-100.0, 100.0])  # B is found everywhere
    assert BACKGROUND not in class_means(model, [case(looked_for=(A,))], (A, B), CPU)
    assert BACKGROUND in class_means(model, [case(looked_for=(A, B))], (A, B), CPU)


def test_a_structure_that_was_not_looked_for_has_no_mean():
    assert set(class_means(segmenter(), [case(looked_for=(A,))], (A, B), CPU).items) <= {A, BACKGROUND}


def test_a_structure_with_its_own_trunk_is_averaged_in_that_trunk():
    model = segmenter(own_trunk=True)
    cases = [case((2, 6, 8), (A, B))]
    bank = class_means(model, cases, (A, B), CPU)
    with torch.no_grad():
        dense = model.trunks[1](cases[0].image.movedim(1, 0).float()).decoder.movedim(1, 0)
    torch.testing.assert_close(bank[B].mean, dense[:, cases[0].mask(B) > 0].double().mean(1), rtol=1e-5, atol=1e-7)


def test_tiles_cover_a_volume_once():
    cases = [case((5, 6, 8), (A, B))]
    bank = class_means(segmenter("unet3d"), cases, (A, B), CPU, patch=(4, 4, 4))
    assert bank[A].count == int(cases[0].mask(A).sum())

"""Presets: the paper's numbers, and schedules."""

import pytest

from IncrementalSegLib.engine.step.presets import find_preset
from IncrementalSegLib.errors import OptionError
from IncrementalSegLib.networks.trunks.unet import UNet2d


def test_paper_has_the_filters_and_the_schedule_of_the_paper():
    paper = find_preset("paper", 2)
    assert paper.widths == (64, 128, 256, 512, 1024)
    assert (paper.batch, paper.epochs, paper.side, paper.patch_side) == (8, 1000, 192, 192)
    assert (paper.learning_rate, paper.decay, paper.dropout, paper.norm_momentum) == (1e-3, False, 0.5, 0.01)
    config = paper.config("unet2d", 2)
    assert (config.network, config.channels, config.widths) == ("unet2d", 2, paper.widths)
    assert (config.dropout, config.norm_momentum) == (0.5, 0.01)


def test_paper_trunk_has_the_filters_in_fact():
    trunk = UNet2d(find_preset("paper", 2).config("unet2d", 1).model_copy(update={"widths": (64, 128)}))
    assert [module.out_channels for module in trunk.modules() if getattr(module, "kernel_size", None) == (3, 3)] == [
        64, 64, 128, 128, 64, 64,
    ]  # fmt: skip


@pytest.mark.parametrize(("items", "steps"), [(8, 1000), (800, 100_000), (1, 125)])
def test_an_epoch_passes_over_all_items(items, steps):
    assert find_preset("paper", 2).total_steps(items) == steps


@pytest.mark.parametrize("name", ["quick", "standard"])
@pytest.mark.parametrize("dimension", [2, 3])
def test_smaller_presets_have_a_fixed_number_of_steps(name, dimension):
    preset = find_preset(name, dimension)
    assert preset.total_steps(1) == preset.total_steps(10_000) == preset.steps > 0
    assert preset.name == name
    assert preset.dropout > 0, "certainty needs dropout"
    assert preset.patch_side % 2 ** (len(preset.widths) - 1) == 0
    assert preset.augmentation.mirror == (), "many structures have a side"


def test_an_unknown_preset_is_refused():
    with pytest.raises(OptionError, match=r"'qiuck'.*quick, standard or paper"):
        find_preset("qiuck", 2)

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from IncrementalSegLib.errors import MissingNeedError, UnknownNameError
from IncrementalSegLib.exemplars.coverage import cosine_similarity, cover_by_similarity
from IncrementalSegLib.exemplars.memory import ExemplarMemory, background_of
from IncrementalSegLib.exemplars.selection import SelectionOptions, select_exemplars
from IncrementalSegLib.networks.config import SegmenterConfig
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.networks.vgg import VGG
from IncrementalSegLib.progress import Share
from IncrementalSegLib.sampling.batch import PreparedCase

A, B = "a" * 32, "b" * 32
CPU = torch.device("cpu")
FEW = SelectionOptions(candidates=5, keep=3, passes=3)


def segmenter(network="unet2d", structures=(A, B), own_trunk=False):
    torch.manual_seed(0)
    model = Segmenter(SegmenterConfig(network=network, widths=(4, 8)))
    for structure in structures:
        model.add((structure,), own_trunk=own_trunk)
    return model.eval()


def cases(structures=(A, B), shapes=((6, 10, 12),) * 3):
    random = torch.Generator().manual_seed(1)
    found = []
    for number, shape in enumerate(shapes):
        masks = torch.zeros(len(structures), *shape, dtype=torch.uint8)
        masks[0, 1:4, 2:5, 2:5] = 1
        if len(structures) > 1:
            masks[1, 3:, 6:, 6:] = 1
        image = torch.randn(1, *shape, generator=random).half()
        found.append(PreparedCase(f"case{number}", f"patient{number}", image, tuple(structures), masks))
    return found


def select(model=None, data=None, structures=(A, B), options=FEW, seed=0, **more):
    return select_exemplars(
        model or segmenter(), data or cases(), structures=structures, options=options, device=CPU, seed=seed, **more
    )


def test_the_same_input_gives_the_same_bytes_under_ids_that_are_drawn():
    first, second = (select().memory for _ in range(2))
    assert first.items
    assert not {item.id for item in first} & {item.id for item in second}
    (one, tensors), (other, others) = (memory.renumbered().to_files() for memory in (first, second))
    assert json.dumps(one) == json.dumps(other)
    assert all(torch.equal(tensors[name], others[name]) for name in tensors)


def test_the_choice_does_not_depend_on_the_uuids():
    def places(chosen):
        return [(item.case, item.start, list(item.ranks.values())) for item in chosen.memory]

    x, y = "9" * 32, "0" * 32
    assert places(select(segmenter(structures=(x, y)), cases((x, y)), (x, y))) == places(select())


def test_candidates_are_the_most_certain_and_the_orders_are_ranked():
    chosen = select()
    for structure in (A, B):
        ranked = [item for item in chosen.memory if structure in item.ranks]
        for order in ("abstraction", "content", "random"):
            assert sorted(item.ranks[structure][order] for item in ranked if order in item.ranks[structure]) == [
                1,
                2,
                3,
            ]
        for item in ranked:
            assert structure in item.present
            assert item.certainty[structure] > 0
            if {"abstraction", "content"} & set(item.ranks[structure]):
                assert int(item.reasons[structure].split("certainty rank ")[1].split()[0]) <= 5
        report = chosen.report["structures"][structure]
        assert (report["with_structure"], report["candidates"]) == (9, 5)
        assert all(np.all(np.diff(curve) >= -1e-12) for curve in report["coverage"].values())
    json.dumps(chosen.report, allow_nan=False)


@pytest.mark.parametrize("centre", [True, False])
def test_abstraction_order_covers_the_whole_set_by_cosine(centre):
    model, data = segmenter(), cases()
    chosen = select(model, data, options=FEW.model_copy(update={"candidates": 99, "centre": centre}))
    with torch.no_grad():
        stack = torch.cat([item.image.movedim(1, 0).float() for item in data])
        vectors = model(stack).features.abstraction.mean((2, 3)).numpy()
    vectors = vectors - vectors.mean(0) if centre else vectors
    eligible = [row for row in range(18) if 1 <= row % 6 <= 3]
    wanted = [eligible[row] for row in cover_by_similarity(cosine_similarity(vectors, eligible), 3).order]
    ranks = {
        item.ranks[A]["abstraction"]: (item.case, item.start[0])
        for item in chosen.memory
        if "abstraction" in item.ranks.get(A, {})
    }
    assert [ranks[n] for n in (1, 2, 3)] == [(f"case{row // 6}", row % 6) for row in wanted]


def test_both_forms_of_the_dropout_masks_reach_the_certainty():
    forms = [select(options=FEW.model_copy(update={"masks": masks})).memory for masks in ("common", "independent")]
    scores = [{item.place: item.certainty for item in memory} for memory in forms]
    shared = scores[0].keys() & scores[1].keys()
    assert any(scores[0][place] != scores[1][place] for place in shared)


def test_pinned_are_first_and_banned_are_not_chosen_again():
    first = select().memory
    banned = next(item for item in first if item.ranks.get(A, {}).get("abstraction") == 1)
    pinned = next(item for item in first if "abstraction" not in item.ranks.get(A, {"abstraction": 1}))
    again = select(known=first.ban(banned.id).pin(pinned.id)).memory
    assert banned.place not in {item.place for item in again}
    kept = next(item for item in again if item.place == pinned.place)
    assert kept.pinned
    assert kept.ranks[A] == {"abstraction": 1, "content": 1, "random": 1}
    assert kept.reasons[A].startswith("pinned")


def test_exemplars_hold_pixels_and_labels_on_request_only():
    data = cases()
    for keep in (True, False):
        kept = select(data=data, options=FEW.model_copy(update={"keep_labels": keep})).memory
        for item in kept:
            case = data[int(item.case[-1])]
            scan = kept.scans[item.id]
            assert torch.equal(scan.image, case.image[:, item.start[0] : item.start[0] + 1])
            assert scan.structures == ((A, B) if keep else ())
            assert scan.patient == case.patient
            assert item.labelled == keep
        assert ExemplarMemory.from_files(*kept.to_files()).items == kept.items


def test_cases_of_several_sizes_and_fewer_slices_than_asked_for():
    shapes = ((6, 10, 12), (5, 10, 12), (4, 14, 9))
    chosen = select(data=cases(shapes=shapes), options=SelectionOptions(passes=2))
    assert chosen.report["structures"][A]["with_structure"] == 9
    assert any("cropped or padded to [10, 12]" in note for note in chosen.report["notes"])


def test_a_structure_that_is_nowhere_has_no_exemplars():
    model, data = segmenter(), cases((A,))
    chosen = select(model, data)
    assert chosen.report["structures"][B]["with_structure"] == 0
    assert all(B not in item.ranks for item in chosen.memory)
    assert select(model, data, (B,)).memory.is_empty


def test_background_as_the_2019_code_does():
    chosen = select(options=FEW.model_copy(update={"select_background": True})).memory
    ranked = [item for item in chosen if background_of(A) in item.ranks]
    assert ranked
    assert all(item.reasons[background_of(A)].startswith("background") for item in ranked)
    taken = {scan.id for scan in chosen.take("abstraction", (A,))}
    assert {item.id for item in ranked if "abstraction" in item.ranks[background_of(A)]} <= taken


def test_trunks_of_their_own():
    chosen = select(segmenter(own_trunk=True))
    assert {key for item in chosen.memory for key in item.ranks} == {A, B}


@pytest.mark.parametrize("patch", [None, (4, 6, 6)])
def test_in_3d_the_unit_is_a_crop_centred_on_the_structure(patch):
    chosen = select(segmenter("unet3d"), patch=patch)
    assert all(item.size == (patch or (6, 10, 12)) for item in chosen.memory)
    assert len(chosen.memory) == (6 if patch else 3)
    for item in chosen.memory:
        assert int(chosen.memory.scans[item.id].mask(next(iter(item.ranks))).sum()) > 0


def test_the_descriptor_follows_the_weights(tmp_path):
    chosen = select()
    assert chosen.report["descriptor"] == "trunk"
    assert any("No ImageNet weights" in note for note in chosen.report["notes"])
    torch.manual_seed(0)
    save_file(VGG(16).state_dict(), tmp_path / "vgg16.safetensors")
    for network, planes in (("unet2d", False), ("unet3d", True)):
        chosen = select(segmenter(network), weights=tmp_path / "vgg16.safetensors")
        assert chosen.report["descriptor"] == "vgg16"
        assert ("three middle planes" in chosen.report["descriptor_version"]) == planes
        assert chosen.report["notes"] == []
    with pytest.raises(MissingNeedError, match="ImageNet weights of VGG16"):
        select(options=FEW.model_copy(update={"descriptor": "vgg16"}))
    with pytest.raises(UnknownNameError, match="Did you mean 'vgg16'"):
        select(options=FEW.model_copy(update={"descriptor": "vgg61"}))


def test_progress_goes_up_to_one():
    seen = []
    select(progress=Share(seen.append))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0

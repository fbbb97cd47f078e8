"""Text embeddings of names: from a table, from WordLlama, from a hash; and what a table must not be."""

import hashlib
import socket

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_tensors

from IncrementalSegLib.errors import OptionError, UnknownNameError
from IncrementalSegLib.networks import text
from IncrementalSegLib.networks.text import seeded_direction, text_embeddings

NAMES = ("liver", "left kidney", "right kidney")


def vectors(count=3, width=8):
    return np.random.default_rng(0).normal(size=(count, width)).astype(np.float32) + 3  # much in common


@pytest.fixture
def table(tmp_path):
    file = tmp_path / "clip.safetensors"
    save_file(dict(zip(NAMES, vectors(), strict=True)), file)
    return file


def test_a_table_is_found_by_name_and_centred(table):
    found = text_embeddings(["Left  Kidney", "liver"], table)
    unit = vectors() / np.linalg.norm(vectors(), axis=1, keepdims=True)
    expected = unit[1] - unit.sum(0) / 4
    assert found["Left  Kidney"].vector[:8] == pytest.approx(expected / np.linalg.norm(expected), abs=1e-6)
    assert not found["Left  Kidney"].vector[8:].any()
    assert found["liver"].source == f"table {hashlib.sha256(table.read_bytes()).hexdigest()}"


def test_all_rows_of_a_table_stay_independent(table):
    found = np.stack([item.vector for item in text_embeddings(NAMES, table).values()])
    assert np.linalg.matrix_rank(found, tol=1e-3) == 3


def test_an_array_with_a_list_of_names_is_the_same_table(table, tmp_path):
    np.save(tmp_path / "clip.npy", vectors())
    (tmp_path / "clip.txt").write_text("\n".join(NAMES) + "\n", encoding="utf-8")
    one, other = (text_embeddings(NAMES, tmp_path / file) for file in ("clip.npy", "clip.safetensors"))
    assert all(np.array_equal(one[name].vector, other[name].vector) for name in NAMES)


def test_an_array_with_too_few_names_is_refused(tmp_path):
    np.save(tmp_path / "clip.npy", vectors())
    (tmp_path / "clip.txt").write_text("liver\n", encoding="utf-8")
    with pytest.raises(OptionError, match=r"shape \(3, 8\).*length 1 in"):
        text_embeddings(["liver"], tmp_path / "clip.npy")


def with_row(row):
    rows = dict(zip(NAMES, vectors(), strict=True))
    return rows | {"spleen": np.asarray(row, dtype=np.float32)}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (with_row([1.0] * 7 + [np.nan]), "'spleen'.*NaN"),
        (with_row([0.0] * 8), "'spleen'.*all zero"),
        (with_row([1.0] * 7), r"has \d values, that of '.*' \d\."),
        (with_row([[1.0] * 8]), r"'spleen' .*has the shape \(1, 8\)"),
        (
            dict(zip(NAMES, vectors(3, 513), strict=True)) | {"spleen": np.ones(513, np.float32)},
            "has 513 values, and the network takes vectors of 2 to 512",
        ),
        (with_row(2 * vectors()[0]), "'liver' and 'spleen' have the same text embedding"),
    ],
)
def test_a_bad_table_is_refused(rows, message, tmp_path):
    save_file(rows, tmp_path / "bad.safetensors")
    with pytest.raises(OptionError, match=message):
        text_embeddings(["liver", "spleen"], tmp_path / "bad.safetensors")


@pytest.mark.parametrize("names", ["liver\nspleen\nliver", "liver\nspleen\n Liver"])
def test_a_name_that_stands_twice_is_refused(names, tmp_path):
    np.save(tmp_path / "clip.npy", vectors())
    (tmp_path / "clip.txt").write_text(names, encoding="utf-8")
    with pytest.raises(OptionError, match="two text embeddings"):
        text_embeddings(["liver", "spleen"], tmp_path / "clip.npy")


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_the_size_of_the_values_does_not_matter(scale, table, tmp_path):
    save_file(
        {name: scale * row.astype(float) for name, row in zip(NAMES, vectors(), strict=True)},
        tmp_path / "s.safetensors",
    )
    expected, found = text_embeddings(NAMES, table), text_embeddings(NAMES, tmp_path / "s.safetensors")
    for name in NAMES:
        assert found[name].vector == pytest.approx(expected[name].vector)


def test_a_missing_name_is_named_with_the_nearest(table):
    with pytest.raises(UnknownNameError, match=r"'left kidny'.*Did you mean 'left kidney'"):
        text_embeddings(["left kidny"], table)


def test_a_list_in_another_encoding_is_refused_by_its_own_name(tmp_path):
    np.save(tmp_path / "clip.npy", vectors())
    (tmp_path / "clip.txt").write_text("liver\nspleen\nMilz, groß\n", encoding="latin-1")
    with pytest.raises(OptionError, match=r"The list .*clip\.txt is not UTF-8: byte 22 is 0xdf"):
        text_embeddings(["liver"], tmp_path / "clip.npy")


def test_an_array_without_a_list_names_the_file_that_is_expected(tmp_path):
    np.save(tmp_path / "clip.npy", vectors())
    with pytest.raises(OptionError, match=r"The list .*clip\.txt is not there"):
        text_embeddings(["liver"], tmp_path / "clip.npy")


@pytest.mark.parametrize(
    "name",
    ["none.safetensors", "bf16.safetensors", "table.csv", "broken.npy", "empty.npy", "archive.npy", "huge.npy",
     "complex.npy"],
)  # fmt: skip
def test_an_unreadable_table_is_refused(name, tmp_path):
    (tmp_path / "table.csv").write_text("liver,1", encoding="utf-8")
    save_tensors({"liver": torch.ones(8, dtype=torch.bfloat16)}, tmp_path / "bf16.safetensors")
    (tmp_path / "broken.npy").write_bytes(b"x")
    (tmp_path / "empty.npy").write_bytes(b"")
    with (tmp_path / "archive.npy").open("wb") as file:
        np.savez(file, vectors())
    with (tmp_path / "huge.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (3, 1 << 42)})
    np.save(tmp_path / "complex.npy", vectors() * (1 + 1j))
    for file in [*tmp_path.glob("*.npy")]:
        file.with_suffix(".txt").write_text("\n".join(NAMES), encoding="utf-8")
    with pytest.raises(OptionError) as refused:
        text_embeddings(["liver"], tmp_path / name)
    assert refused.value.todo


def test_a_name_always_gives_the_same_direction():
    direction = seeded_direction("Liver")
    assert np.array_equal(direction, seeded_direction(" liver"))
    assert np.linalg.norm(direction) == pytest.approx(1)
    # SHA-512 of "liver" begins with these bits, whatever the machine or library
    first = format(hashlib.sha512(b"liver").digest()[0], "08b")
    assert [int(value > 0) for value in direction[:8]] == [int(bit) for bit in first]
    assert abs(direction @ seeded_direction("spleen")) < 0.2
    assert abs(direction @ seeded_direction("liver", attempt=1)) < 0.2


def test_without_wordllama_directions_are_seeded(monkeypatch):
    monkeypatch.setattr(text.importlib.util, "find_spec", lambda name: None)
    found = text_embeddings(["liver"])["liver"]
    assert found.source == "seeded"
    assert np.array_equal(found.vector, seeded_direction("liver"))


def test_wordllama_needs_no_network(monkeypatch):
    pytest.importorskip("wordllama")

    def refuse(*arguments, **options):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    found = text_embeddings(NAMES)
    assert found["liver"].source.startswith("wordllama ")
    liver, left, right = (found[name].vector for name in NAMES)
    assert [np.linalg.norm(item) for item in (liver, left, right)] == pytest.approx([1, 1, 1])
    assert left @ right > 0.5 > liver @ left

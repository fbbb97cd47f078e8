"""The configuration of a bundle is followed where it is plain, and never executed."""

from __future__ import annotations

import json

import pytest

from IncrementalSegLib.engine.adoption.bundle.config import Config, read_config
from IncrementalSegLib.engine.adoption.bundle.expressions import Expression
from IncrementalSegLib.errors import ModelError


def config(tmp_path, **document):
    return Config(document, tmp_path / "inference.json")


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("plain", "plain"),
        ("@a", [1, 2]),
        ("@a#1", 2),
        ("@d::inner::x", 3),
        ("@through", 2),
        ("$@a", [1, 2]),
        ("$len(@a) + 1", 3),
        ("$@root + '/models/' + @name", "./models/low.pt"),
        ("$[1.5, 2] if @yes else [3.0]", [1.5, 2]),
        ("$-57", -57),
        ("$None", None),
        ("$(1, 2)", [1, 2]),
        ("$@d.to(@device)", {"inner": {"x": 3}}),
        ("$monai.utils.CommonKeys.PRED", "pred"),
        ("$torch.float32", "float32"),
        ("$@a + @a", [1, 2, 1, 2]),
    ],
)
def test_plain_references_and_expressions_have_a_value(given, value, tmp_path):
    document = {
        "a": [1, 2],
        "d": {"inner": {"x": 3}},
        "through": "@a#1",
        "root": ".",
        "name": "$'high.pt' if @no else 'low.pt'",
        "yes": True,
        "no": False,
        "device": "$torch.device('cuda')",
        "given": given,
    }
    assert config(tmp_path, **document).value("given") == value


@pytest.mark.parametrize(
    "given",
    [
        "$__import__('os').system('echo taken > taken.txt')",
        "$open('taken.txt', 'w')",
        "$[i for i in range(10**9)]",
        "$10**10**10",
        "$'a' * 10**9",
        "$@device",
        "$@a if 1 else @a",
        "$len",
        "$len(@a, 1)",
        "$os.path.join('a', 'b')",
        "$lambda x: x",
        "$" + "(" * 2000,
        "$" + "-" * 900 + "1",
        "$b'bytes'",
        "$1j",
        "%other.json#a",
        "@a/b",
        "$not python",
        "",
    ],
)
def test_anything_else_is_no_value(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = config(tmp_path, a=[1], device="$torch.device('cuda')", given=given).value("given")
    assert isinstance(found, Expression) or found == given == ""
    assert list(tmp_path.iterdir()) == []


def test_a_reference_to_nothing_is_named(tmp_path):
    with pytest.raises(ModelError, match="refers to missing#x, which is not there"):
        config(tmp_path, given="@missing#x").value("given")
    assert config(tmp_path).value("given") is None


@pytest.mark.parametrize(
    "document",
    [
        {"given": "@given"},
        {"given": "$@other", "other": "@given"},
        {"given": {"x": "@given"}},
        {"given": ["@b"] * 9} | {chr(98 + n): [f"@{chr(99 + n)}"] * 9 for n in range(9)} | {"k": 1},
    ],
)
def test_endless_references_end(document, tmp_path):
    with pytest.raises(ModelError, match="refers to itself, or is too large"):
        config(tmp_path, **document).value("given")


def test_sums_of_sums_do_not_grow(tmp_path):
    doubled = {f"x{number}": f"$@x{number - 1} + @x{number - 1}" for number in range(1, 10)}
    found = config(tmp_path, x0="y" * 5000, **doubled)
    assert len(found.value("x1")) == 10_000
    assert isinstance(found.value("x9"), Expression)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.json", "[1]", "does not hold a JSON object"),
        ("a.json", "{", "cannot be read"),
        ("a.json", '{"a": ' + "[" * 100_000, "cannot be read"),
        ("a.yaml", "- 1", "holds a list"),
        ("a.yaml", "a: [", "cannot be read"),
        ("a.yaml", "a: !!python/object/apply:os.system ['echo taken > taken.txt']", "cannot be read"),
        ("a.yaml", "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]", "aliases"),
        ("a.yaml", "a: " + "[" * 20_000, "cannot be read"),
        ("a.json", '{"a": "' + "x" * 5_000_000 + '"}', "bytes"),
    ],
)
def test_files_that_are_none_are_refused(name, text, reason, tmp_path, monkeypatch):
    if name.endswith("yaml"):
        pytest.importorskip("yaml")
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(ModelError, match=reason):
        read_config(tmp_path / name)
    assert [item.name for item in tmp_path.iterdir()] == [name]


def test_yaml_and_json_are_read_alike(tmp_path):
    pytest.importorskip("yaml")
    document = {"a": {"b": [1, 2.5, "x", None, True]}}
    for name in ("a.json", "a.yaml"):
        (tmp_path / name).write_text(json.dumps(document), "utf-8")
        assert read_config(tmp_path / name) == document

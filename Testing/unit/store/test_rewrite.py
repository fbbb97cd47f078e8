"""Files of a version are replaced or dropped without a moment in which it cannot be read."""

from __future__ import annotations

import pytest

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.files import encode_json
from IncrementalSegLib.store import contents, rewrite
from IncrementalSegLib.store.contents import publish, read_document, verify

OLD = {"one.json": encode_json({"a": 1}), "two.json": encode_json({"b": 2}), "three.json": encode_json({"c": 3})}


@pytest.fixture
def version(tmp_path):
    """Return the folder of a version."""
    publish(tmp_path / "0001", OLD, None)
    return tmp_path / "0001"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_and_another_dropped(version):
    rewrite.rewrite(version, {"one.json": encode_json({"a": 9}), "two.json": None})
    verify(version)
    assert [read_document(version, name) for name in OLD] == [{"a": 9}, {}, {"c": 3}]
    assert len(names(version)) == 3
    assert "one.json" not in names(version)
    assert b'"a": 1' not in b"".join(path.read_bytes() for path in version.iterdir())


def test_the_same_again_changes_nothing(version):
    change = {"one.json": encode_json({"a": 9}), "two.json": None}
    rewrite.rewrite(version, change)
    before = names(version), (version / "manifest.json").read_bytes()
    rewrite.rewrite(version, change)
    assert (names(version), (version / "manifest.json").read_bytes()) == before


def test_another_version_takes_over_what_was_replaced(version, tmp_path):
    rewrite.rewrite(version, {"one.json": encode_json({"a": 9})})
    publish(tmp_path / "0002", {}, version)
    verify(tmp_path / "0002")
    assert names(tmp_path / "0002") == sorted([*OLD, "manifest.json"])
    assert all((tmp_path / "0002" / name).stat().st_nlink == 2 for name in OLD)  # shared, not copied


def test_a_version_that_shares_its_files_keeps_them(version, tmp_path):
    publish(tmp_path / "0002", {}, version)
    rewrite.rewrite(version, {"one.json": None})
    verify(tmp_path / "0002")
    assert read_document(tmp_path / "0002", "one.json") == {"a": 1}


def test_what_a_killed_rewriting_left_is_found_and_goes(version, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(rewrite, "sweep", killed)
        with pytest.raises(KeyboardInterrupt):
            rewrite.rewrite(version, {"one.json": encode_json({"a": 9})})
    verify(version)
    assert [path.name for path in rewrite.left_over(version)] == ["one.json"]
    rewrite.sweep(version)
    assert rewrite.left_over(version) == []
    assert read_document(version, "one.json") == {"a": 9}


def test_a_manifest_that_leads_elsewhere_is_refused(version):
    text = (version / "manifest.json").read_text().replace('"size"', '"file": "../x.json", "size"', 1)
    (version / "manifest.json").write_text(text)
    with pytest.raises(ModelError, match=r"its entry for one\.json"):
        contents.verify(version)

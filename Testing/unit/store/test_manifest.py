"""Fingerprints depend on names and contents, not on order or place."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from IncrementalSegLib.errors import DataError, ModelError
from IncrementalSegLib.files import encode_json, read_json, write_json
from IncrementalSegLib.store.manifest import fingerprint, sha256_of


def test_fingerprint(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder / "series").mkdir(parents=True)
        (tmp_path / folder / "scan.nii").write_bytes(b"image")
        (tmp_path / folder / "series" / "1.dcm").write_bytes(b"slice")
    first = [tmp_path / "a" / "scan.nii", tmp_path / "a" / "series"]
    lines = [hashlib.sha256(data).hexdigest() for data in (b"image", b"slice")]
    assert fingerprint(first) == hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
    assert fingerprint(reversed(first)) == fingerprint(tmp_path / "b" / item.name for item in first)
    (tmp_path / "b" / "scan.nii").write_bytes(b"other")
    assert fingerprint(first) != fingerprint(tmp_path / "b" / item.name for item in first)
    before = fingerprint([tmp_path / "a" / "scan.nii"])
    (tmp_path / "a" / "scan.nii").rename(tmp_path / "a" / "renamed.nii")
    assert fingerprint([tmp_path / "a" / "renamed.nii"]) == before


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.nii"):
        sha256_of(tmp_path / "gone.nii")


def test_json_is_replaced_whole_and_never_holds_nan(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": float("nan")})
    assert read_json(path) == {"a": 1}
    with pytest.raises(ModelError, match=r"missing\.json"):
        read_json(tmp_path / "missing.json")
    assert encode_json({"ü": None}) == '{\n "ü": null\n}\n'.encode()
    assert [item.name for item in tmp_path.iterdir()] == ["x.json"]


def test_standard_library_only() -> None:
    code = "import sys, IncrementalSegLib.store.manifest; sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    root = Path(sys.modules["IncrementalSegLib.errors"].__file__ or "").parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0

"""The rules of Slicer's Extensions Index, for its entry and for the repository that it names."""

import json
import re
import struct
import subprocess

import pytest
from extension_files import ROOT, cmake_value

NAME = "IncrementalSeg"
REPOSITORY = f"https://github.com/IncrementalSeg/Slicer{NAME}"
RAW = f"https://raw.githubusercontent.com/IncrementalSeg/Slicer{NAME}/main/"
CMAKE = ROOT / "CMakeLists.txt"
ALLOWED = {
    "$schema": str,
    "build_dependencies": list,
    "build_subdirectory": str,
    "category": str,
    "dicom_support_rule": str,
    "enabled": bool,
    "scm_revision": str,
    "scm_type": str,
    "scm_url": str,
    "tier": int,
}
MOST_MEGABYTES = 100


@pytest.fixture(scope="module")
def entry():
    return json.loads((ROOT / f"{NAME}.json").read_text(encoding="utf-8"))


def png(path):
    """Return width and height of a PNG file."""
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n", f"{path.name} is no PNG"
    return struct.unpack(">II", head[16:24])


def local(url):
    """Return the file of this tree that a URL shows."""
    assert url.startswith(RAW), f"{url} does not lie in the repository"
    return ROOT / url.removeprefix(RAW)


def test_the_entry_follows_the_schema(entry):
    assert {"$schema", "category", "scm_url"} <= entry.keys() <= ALLOWED.keys()
    for key, value in entry.items():
        assert type(value) is ALLOWED[key], key
    assert entry["$schema"].endswith("/slicer-extension-catalog-entry-schema-v1.0.2.json#")
    assert entry.get("scm_type", "git") in ("git", "local")
    assert 1 <= entry["tier"] <= 5


def test_the_entry_names_category_repository_and_dependencies(entry):
    assert entry["category"] == "Segmentation"
    assert entry["scm_url"] == f"{REPOSITORY}.git"
    assert entry["build_dependencies"] == cmake_value(CMAKE, "EXTENSION_DEPENDS")
    assert entry["build_subdirectory"] == "."


def test_names_follow_the_rules(entry):
    project = re.search(r"^project\((\w+)\)", CMAKE.read_text(encoding="utf-8"), re.MULTILINE)
    assert project[1] == NAME
    assert not NAME.startswith("Slicer")
    repository = entry["scm_url"].removesuffix(".git").rpartition("/")[2]
    assert repository.startswith(("Slicer", "Slicer-", "Slicer_", "SlicerExtension-"))
    assert (ROOT / NAME / f"{NAME}.py").is_file()


def test_homepage_and_description():
    assert cmake_value(CMAKE, "EXTENSION_HOMEPAGE") == [REPOSITORY]
    (description,) = cmake_value(CMAKE, "EXTENSION_DESCRIPTION")
    assert 1 <= len(re.findall(r"[.!?](?:\s|$)", description)) <= 2
    assert cmake_value(CMAKE, "EXTENSION_CONTRIBUTORS")


def test_the_icons_are_square_pictures():
    (url,) = cmake_value(CMAKE, "EXTENSION_ICONURL")
    assert png(local(url)) == (128, 128)
    width, height = png(ROOT / NAME / "Resources" / "Icons" / f"{NAME}.png")
    assert width == height >= 64


def test_the_screenshots_are_pictures():
    urls = cmake_value(CMAKE, "EXTENSION_SCREENSHOTURLS")[0].split()
    assert urls
    for url in urls:
        assert min(png(local(url))) >= 200


def test_the_licence_lies_in_the_root_and_the_homepage_names_it():
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_repository_is_small_and_holds_no_compiled_code():
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    files = [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]
    assert sum(path.stat().st_size for path in files) < MOST_MEGABYTES * 2**20
    compiled = {".cxx", ".cpp", ".h", ".so", ".dll", ".exe", ".pyd", ".dylib", ".pyc"}
    assert not [path.name for path in files if path.suffix in compiled]

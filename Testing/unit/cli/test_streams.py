"""Output as real processes write it: any encoding, any name, a pipe that nobody reads any more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from IncrementalSegLib.store.record import VersionRecord
from IncrementalSegLib.store.versions import create_or_open
from IncrementalSegLib.structures import Structure, StructureList

ROOT = Path(__file__).resolve().parents[3]
NAMES = ("Leber Δ ≥ → 肝", "[red]Milz[/red]", "\x1b[31mNiere\u202e")
FEW = ("--option", "passes=2", "--option", "candidates=4", "--option", "keep=2")
LATIN = {"PYTHONIOENCODING": "cp1252"}
ASCII = {"PYTHONIOENCODING": "ascii"}
C_LOCALE = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def named(tmp_path_factory) -> Path:
    """Return a model whose names come from a program that let all names pass."""
    folder = create_or_open(tmp_path_factory.mktemp("streams") / "Schulter ö Δ")
    structures = StructureList(tuple(Structure.create(name, 1) for name in NAMES))
    record = VersionRecord(structures=structures, architecture={}, preprocessing={}, held_back_by=NAMES)
    folder.write(record, {}, {})
    return folder.path


def run(*arguments, environment, module="IncrementalSegLib", **options) -> subprocess.CompletedProcess[bytes]:
    own = {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]), "COLUMNS": "200"}
    options = {"stdin": subprocess.DEVNULL, "capture_output": True} | options
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.run(command, env=os.environ | own | environment, check=False, **options)


@pytest.mark.parametrize(
    ("environment", "encoding", "shown"),
    [
        (LATIN, "cp1252", ["Schulter ö d", "Leber d >= -> \\u809d", "[red]Milz[/red]"]),
        (ASCII, "ascii", ["Leber d >= -> \\u809d", "[red]Milz[/red]"]),
        (C_LOCALE, "ascii", ["Leber d >= -> \\u809d"]),
        ({"PYTHONIOENCODING": "utf-8"}, "utf-8", ["Schulter ö Δ", "Leber Δ ≥ → 肝", "\\x1b[31mNiere\\u202e"]),
    ],
    ids=["cp1252", "ascii", "C", "utf-8"],
)
def test_a_table_is_written_in_any_encoding(named, environment, encoding, shown):
    done = run("versions", named, environment=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode(encoding)
    assert [part for part in shown if part not in text] == []
    assert b"\x1b" not in done.stdout


def test_json_is_the_same_bytes_in_every_encoding(named):
    found = {run("versions", named, "--json", environment=kind).stdout for kind in (LATIN, ASCII)}
    (line,) = found
    assert [item["name"] for item in json.loads(line)["versions"][0]["structures"]] == list(NAMES)


@pytest.mark.parametrize("arguments", [("--help",), ("versions", "Ä Δ ≥ → 肝")], ids=["help", "error"])
def test_help_and_errors_are_written_in_any_encoding(arguments):
    for environment in (LATIN, ASCII):
        done = run(*arguments, environment=environment)
        assert done.returncode == (0 if "--help" in arguments else 1)
        assert b"fault of the program" not in done.stdout + done.stderr
        assert b"Traceback" not in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
def test_a_reader_that_is_gone_is_no_failure(named):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = run("versions", named, environment=LATIN, capture_output=False, stdout=writing, stderr=subprocess.PIPE)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_full_disk_behind_the_output_is_said(named):
    with Path("/dev/full").open("wb") as full:
        done = run("versions", named, environment=LATIN, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr.startswith(b"Error: Standard output cannot be written: No space left on device.")
    assert b"fault of the program" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("environment", [LATIN, C_LOCALE], ids=["cp1252", "C"])
def test_a_second_step_goes_live_whatever_the_encoding(model, data, scan, tmp_path, environment):
    commands = [
        ("learn", model, "--data", data, "--structures", "spleen", "--steps", 2, "--accept", "always", *FEW),
        ("gate", model),
        ("evaluate", model, "--data", data),
        ("segment", model, scan, "--output", tmp_path / "out.seg.nrrd"),
        ("privacy", model),
    ]
    for arguments in commands:
        done = run(*arguments, environment=environment)
        assert b"fault of the program" not in done.stderr, (arguments, done.stderr)
        assert b"UnicodeEncodeError" not in done.stderr
        assert done.returncode == 0, (arguments, done.stderr)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
def test_a_version_that_went_live_is_no_failure_for_a_closed_pipe(model, data):
    reading, writing = os.pipe()
    os.close(reading)
    step = ("learn", model, "--data", data, "--structures", "spleen", "--steps", 2, "--accept", "always", *FEW)
    try:
        done = run(*step, environment={}, capture_output=False, stdout=writing, stderr=writing)
    finally:
        os.close(writing)
    assert done.returncode == 0
    assert create_or_open(model).current == 2

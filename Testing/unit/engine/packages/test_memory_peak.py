"""What a hostile package costs before it is refused."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from packages import members, sealed

from IncrementalSegLib.engine.packages.transfer import export_package

IMPORT = """
import sys
from pathlib import Path
from IncrementalSegLib.engine.packages.transfer import import_package
from IncrementalSegLib.errors import ModelError
def peak():
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024
before = peak()
for package in sys.argv[2:]:
    try:
        import_package(package, Path(sys.argv[1]))
    except ModelError:
        continue
    sys.exit(f"{package} was taken")
print(peak() - before)
"""
ROOT = Path(__file__).resolve().parents[4]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process as Linux tells it")
def test_a_hostile_package_costs_little_memory(taught, tmp_path):
    full = tmp_path / "full.iseg"
    export_package(taught, full, include_exemplars=True)
    content = members(full.read_bytes())
    history = json.loads(content["history.json"])
    history["steps"][0]["training"][0]["looked_for"] = {f"{number:x}": 0 for number in range(4999)}
    names = {f"{number}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for number in range(300_000)}
    header = json.dumps(names).encode()
    hostile = {
        "lists": {"history.json": b'{"steps":[' + b"[]," * 6_000_000 + b"[]]}"},
        "numbers": {"history.json": b'{"steps":[' + b"0," * 9_000_000 + b"0]}"},
        "few lists": {"history.json": b'{"steps":[' + b"[]," * 199_000 + b"[]]}"},
        "keys": {"history.json": json.dumps(history).encode()},
        "manifest": {},
        "tensors": {"weights.safetensors": struct.pack("<Q", len(header)) + header},
    }
    paths = []
    for name, changes in hostile.items():
        paths.append(tmp_path / f"{name}.iseg")
        more = {"files": {f"{number}": 0 for number in range(10**6)}} if name == "manifest" else {}
        paths[-1].write_bytes(sealed({**content, **changes}, **more))
    command = [sys.executable, "-c", IMPORT, tmp_path / "model", *paths]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 100e6, "beyond what the libraries take and the 20 MB of the file itself"

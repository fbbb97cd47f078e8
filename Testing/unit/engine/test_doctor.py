"""What the doctor says of this machine."""

import json

import torch

from IncrementalSegLib import registry
from IncrementalSegLib.engine import doctor


def test_the_report_is_complete_and_plain(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    report = json.loads(json.dumps(doctor.examine(), allow_nan=False))
    assert report["libraries"]["torch"] == torch.__version__
    assert {"finetune", "aeiseg"} <= set(report["methods"])
    assert 0 < report["convolution_error"] < 0.05
    assert report["broken"] == {}
    assert report["threads"] == torch.get_num_threads()
    assert report["kind"] == ("cuda" if torch.cuda.is_available() else "cpu")
    assert 0 < report["memory_free_gb"] <= report["memory_gb"] < 10_000
    assert not any("OMP_WAIT_POLICY" in line or "could not be loaded" in line for line in report["warnings"])


def test_free_memory_is_what_reading_a_scan_may_take(monkeypatch):
    monkeypatch.setattr(doctor, "free_memory", lambda: 3_210_000_000)
    monkeypatch.setattr(doctor, "total_memory", lambda: None)
    assert doctor._memory_gb(torch.device("cpu")) == (None, 3.2)


def test_it_warns_of_what_is_wrong(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    monkeypatch.setitem(registry._broken.setdefault("method", {}), "mine", "SyntaxError: invalid syntax")
    monkeypatch.setattr(doctor, "_convolution_error", lambda device: 0.3)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 10**9}))
    report = doctor.examine()
    assert report["broken"] == {"method file mine": "SyntaxError: invalid syntax"}
    text = " ".join(report["warnings"])
    for part in ("OMP_WAIT_POLICY", "mine could not be loaded: SyntaxError", "30%", "1.0 GB"):
        assert part in text


def test_a_torch_that_cannot_be_used_is_the_report(monkeypatch):
    monkeypatch.setattr(torch, "__version__", "2.9.0")
    assert "2.9.0" in doctor.examine()["warnings"][0]

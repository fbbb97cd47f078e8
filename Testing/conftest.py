"""What every test may use: threads, random generators, real scans, profiles of hypothesis."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

# Read once, when the first OpenMP library is loaded: idle threads must sleep, not spin.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    import torch

ROOT = Path(__file__).resolve().parents[1]
for helpers in (ROOT, ROOT / "Testing" / "fixtures", ROOT / "Testing" / "corpus"):  # what several folders import
    sys.path.append(str(helpers))
MAX_THREADS = 4  # more do not pay on volumes of test size

os.fsync = lambda _descriptor: None  # no test has to wait for the disk: no power is cut here

settings.register_profile(
    "ci", derandomize=True, deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("thorough", deadline=None, max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that takes real scans as ``real``."""
    for item in items:
        if "shared_data" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.real)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests of the GPU where there is none, and hold the threads of torch down once it is loaded."""
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")
    loaded = sys.modules.get("torch")
    if loaded is not None and loaded.get_num_threads() != _threads():
        loaded.set_num_threads(_threads())


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real scans, or skip the test."""
    named = os.environ.get("INCREMENTALSEG_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real scans: {folder.name!r} is not there; name their folder in INCREMENTALSEG_DATA")
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a seeded generator of NumPy."""
    return np.random.default_rng(0)


@pytest.fixture
def generator() -> torch.Generator:
    """Return a seeded generator of torch."""
    import torch

    return torch.Generator().manual_seed(0)


def _threads() -> int:
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    beside = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return max(1, min(MAX_THREADS, available // beside))

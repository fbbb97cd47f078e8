"""What tests of adoption, of releases and of their commands share."""

from __future__ import annotations

import pytest


@pytest.fixture
def read_in_process(monkeypatch):
    """Read checkpoints in this process; test_child and test_found start the child."""
    from nnunet_folders import read_here

    from IncrementalSegLib.engine.adoption import checkpoint

    monkeypatch.setattr(checkpoint, "_in_child", read_here)

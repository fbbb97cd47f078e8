"""Fixtures of the tests on real data."""

import pytest


@pytest.fixture(scope="session")
def trained(shared_data):
    """Return a folder with a network that nnU-Net trained, and with its own predictions."""
    folder = shared_data / "nnunet-hippocampus-anterior"
    if not folder.is_dir():
        pytest.skip("the network of nnU-Net is not there")
    return folder

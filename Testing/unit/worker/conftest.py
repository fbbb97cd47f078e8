"""Real worker processes, one for all tests of a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from wire import TOYS, Session

from IncrementalSegLib.wire.process import WORKER


@pytest.fixture(scope="module")
def toys() -> Iterator[Session]:
    """A worker that can do the toys' requests."""
    session = Session(*TOYS)
    yield session
    assert session.transport.close() == 0


@pytest.fixture(scope="module")
def worker() -> Iterator[Session]:
    """The worker as a front end starts it."""
    session = Session(*WORKER)
    yield session
    assert session.transport.close() == 0

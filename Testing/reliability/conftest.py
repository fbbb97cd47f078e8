"""One parent for all children, one model that is copied for each of them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults import Zygote
from operations import OPERATIONS


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The kernel's signals, limits and names of open files are those of Linux."""
    for item in items:
        if "reliability" in item.path.parts and not sys.platform.startswith("linux"):
            item.add_marker(pytest.mark.skip(reason="needs Linux"))


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    """Return the parent of all children."""
    with Zygote() as parent:
        yield parent


@pytest.fixture(scope="session")
def made(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a place with a model in it; not to be changed."""
    place = tmp_path_factory.mktemp("made")
    zygote.run("make place", place)
    return place


@pytest.fixture
def places(made: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that makes the place in which an operation starts."""
    count = iter(range(10**9))

    def place(operation: str) -> Path:
        new = tmp_path / str(next(count))
        if OPERATIONS[operation].fresh:
            new.mkdir()
            return new
        return Path(shutil.copytree(made, new))

    return place

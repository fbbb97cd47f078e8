"""Items of a sequence, of which a thread makes the next one while the present one is in use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class Prefetch(Generic[T]):
    """Return what ``make`` makes of an index, made earlier by a thread where one runs and indices are consecutive.

    Args:
        make: A function of the index alone, so that it makes no difference who calls it, and when.
    """

    def __init__(self, make: Callable[[int], T]) -> None:
        self._make = make
        self._thread: ThreadPoolExecutor | None = None
        self._next: tuple[int, Future[T]] | None = None

    def __call__(self, index: int) -> T:
        """Return item ``index``; what making it raised in the thread is raised here."""
        waiting, self._next = self._next, None
        found = waiting[1].result() if waiting is not None and waiting[0] == index else self._make(index)
        if self._thread is not None:
            self._next = index + 1, self._thread.submit(self._make, index + 1)
        return found

    @contextmanager
    def ahead(self, begin: Callable[[], object] = lambda: None) -> Iterator[None]:
        """Let one thread make the next items inside the block; it ends with the block, however that ends.

        Args:
            begin: Called once by the thread.
        """
        with ThreadPoolExecutor(1, "prefetch", initializer=begin) as thread:
            self._thread = thread
            try:
                yield
            finally:
                self._thread = self._next = None

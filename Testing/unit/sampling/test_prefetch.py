"""Items made ahead by a thread: the same ones, errors included, and the thread ends with its block."""

import threading

import pytest

from IncrementalSegLib.sampling.prefetch import Prefetch


def running():
    return [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


@pytest.fixture
def made():
    """Items, and which thread made each of them; item 3 cannot be made."""
    makers = {}

    def make(index):
        makers[index] = threading.current_thread()
        if index == 3:
            raise OSError("a scan is gone")
        return index * index

    return Prefetch(make), makers


def test_the_next_item_is_made_while_this_one_is_in_use(made):
    items, makers = made
    with items.ahead():
        assert items(0) == 0
        (thread,) = running()
        assert [items(1), items(2)] == [1, 4]
        assert (makers[0], makers[1], makers[2]) == (threading.current_thread(), thread, thread)
    assert running() == []


def test_other_indices_are_made_at_once(made):
    items, _ = made
    with items.ahead():
        assert [items(index) for index in (7, 7, 5, 0, 1)] == [49, 49, 25, 0, 1]


def test_without_the_block_there_is_no_thread(made):
    items, makers = made
    assert [items(0), items(1)] == [0, 1]
    assert set(makers) == {0, 1}
    assert {*makers.values()} == {threading.current_thread()}


def test_an_error_comes_when_its_item_is_asked_for(made):
    items, _ = made
    with items.ahead():
        assert items(2) == 4
        assert items(9) == 81, "nobody asked for item 3"
        items(2)
        with pytest.raises(OSError, match="a scan is gone"):
            items(3)
        assert items(4) == 16
    assert running() == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_the_thread_ends_with_the_block_however_that_ends(made, error):
    items, makers = made
    with pytest.raises(error), items.ahead():  # noqa: PT012
        items(0)
        raise error
    assert running() == []
    assert items(5) == 25
    assert 6 not in makers

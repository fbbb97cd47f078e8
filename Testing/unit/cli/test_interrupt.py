"""Ctrl+C reaches the program even where a library swallows it."""

import contextlib
import os
import signal

import pytest

from IncrementalSegLib.cli.interrupt import Interrupt
from IncrementalSegLib.cli.output import progress_bar
from IncrementalSegLib.progress import Stop


def test_a_swallowed_interrupt_comes_back_with_the_next_progress():
    before = {item: signal.getsignal(item) for item in (signal.SIGINT, signal.SIGTERM)}
    try:
        Interrupt.install()
        with progress_bar() as progress:
            progress("training", 0.1)
            with contextlib.suppress(BaseException):  # as some libraries do while they are imported
                os.kill(os.getpid(), signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                progress("training", 0.2)
    finally:
        for item, handler in before.items():
            signal.signal(item, handler)
    Interrupt.check()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_training_may_write_down_where_it_is_and_a_second_one_stops_at_once(number, capfd):
    before = {item: signal.getsignal(item) for item in (signal.SIGINT, signal.SIGTERM)}
    try:
        Interrupt.install()
        with progress_bar() as progress, Interrupt.patiently():
            os.kill(os.getpid(), number)
            with pytest.raises(Stop) as caught:
                progress("training", 0.2)
            assert caught.value.wish == "pause"
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), number)
        assert "again stops at once" in capfd.readouterr().err
    finally:
        for item, handler in before.items():
            signal.signal(item, handler)

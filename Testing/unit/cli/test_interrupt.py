"""Ctrl+C reaches the program even where a library swallows it."""

import contextlib
import os
import signal

import pytest

from IncrementalSegLib.cli.interrupt import Interrupt
from IncrementalSegLib.cli.output import progress_bar


def test_a_swallowed_interrupt_comes_back_with_the_next_progress():
    before = signal.getsignal(signal.SIGINT)
    try:
        Interrupt.install()
        with progress_bar() as progress:
            progress("Learning", 0.1)
            with contextlib.suppress(BaseException):  # as some libraries do while they are imported
                os.kill(os.getpid(), signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                progress("Learning", 0.2)
    finally:
        signal.signal(signal.SIGINT, before)
    Interrupt.check()

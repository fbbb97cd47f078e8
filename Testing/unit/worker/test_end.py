"""A worker never outlives its front end, and a front end never waits for a worker that hangs."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from wire import TOYS, Session

from IncrementalSegLib.jobs import client as clients
from IncrementalSegLib.jobs import events, requests

posix = pytest.mark.skipif(os.name != "posix", reason="descriptors of POSIX")
LONG = requests.encode(requests.Request("1", "count", {"name": "x", "steps": 10**6, "pause": 0.01})).encode() + b"\n"
PARENT = """
import subprocess, sys, time
into, out = map(int, sys.argv[1:3])
subprocess.Popen(sys.argv[3:], stdin=into, stdout=out)
time.sleep(600)
"""


def ends(stream, seconds=12.0):
    """Read a worker's output to its end, which comes when the process has gone, and return how long it took."""
    began = time.monotonic()
    os.set_blocking(stream, False)
    while time.monotonic() - began < seconds:
        try:
            if not os.read(stream, 2**16):
                return time.monotonic() - began
        except BlockingIOError:
            time.sleep(0.05)
    raise AssertionError(f"the worker lives after {seconds} s")


@posix
@pytest.mark.parametrize("pipe", ["closes with the parent", "is held open by another process"])
def test_it_ends_when_its_parent_is_killed(pipe):
    requests_out, requests_in = os.pipe()
    events_out, events_in = os.pipe()
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(requests_out), str(events_in), *TOYS],
        pass_fds=(requests_out, events_in),
        stdin=subprocess.DEVNULL,
    )
    os.close(requests_out)
    os.close(events_in)
    os.write(requests_in, LONG)
    said = b""
    while b"Counting" not in said:
        said += os.read(events_out, 2**16)
    parent.kill()
    parent.wait()
    if pipe.startswith("closes"):
        os.close(requests_in)
    assert ends(events_out) < 6
    if not pipe.startswith("closes"):
        os.close(requests_in)
    os.close(events_out)


def test_it_ends_when_its_input_closes_and_lets_a_step_write_a_checkpoint(tmp_path):
    with Session(*TOYS) as session:
        job = session.client.submit("keep", {"note": str(tmp_path / "note")})
        waiting = session.client.submit("count", {"name": "x"})
        session.until(lambda: job.progress is not None and job.progress.phase == "Learning")
        assert session.transport.close(timeout=6) == 0
        assert (tmp_path / "note").read_text() == "pause"
        session.until(lambda: not session.client.alive)
        assert waiting.state == "failed"


def test_a_job_that_does_not_stop_does_not_keep_it_alive():
    with Session(*TOYS) as session:
        job = session.client.submit("stubborn", {"seconds": 600})
        session.until(lambda: job.state == "running")
        began = time.monotonic()
        assert session.transport.close(timeout=10) == 0
        assert time.monotonic() - began < 7


def test_it_ends_when_nobody_speaks_to_it_any_more():
    with Session(*TOYS, "--patience", "2") as session:
        began = time.monotonic()
        assert session.transport.process.wait(10) == 1
        assert 1.5 < time.monotonic() - began < 8


def test_pings_keep_it_alive_and_shutdown_lets_it_finish():
    with Session(*TOYS, "--patience", "2") as session:
        session.until(lambda: any(isinstance(event, events.Heartbeat) for event in session.seen[4:]))
        job = session.client.submit("count", {"name": "last", "steps": 20, "pause": 0.02})
        session.client.shutdown()
        session.until(lambda: job.end is not None)
        assert job.state == "finished"
        assert session.transport.process.wait(5) == 0


def test_a_worker_that_hangs_is_killed_after_the_wish(monkeypatch):
    monkeypatch.setattr(clients, "KILL_AFTER", 0.5)
    with Session(*TOYS) as session:
        job, other = session.client.submit("stubborn", {"seconds": 600}), session.client.submit("count", {"name": "x"})
        session.until(lambda: job.state == "running")
        session.client.cancel(job.id)
        session.until(lambda: job.end is not None, 3)
        assert job.end == events.Cancelled(job.id, kept=False)
        assert isinstance(session.of(job, events.Cancelling)[0], events.Cancelling)
        assert other.state == "failed"
        assert session.transport.process.wait(5) != 0
        assert session.transport.read(0.1) is None or session.transport.read(5) is None


def test_a_worker_that_dies_ends_its_jobs():
    with Session(*TOYS) as session:
        job = session.client.submit("stubborn", {"seconds": 600})
        session.until(lambda: job.state == "running")
        session.transport.kill()
        session.until(lambda: job.end is not None, 5)
        assert "ended unexpectedly" in job.end.what
        session.client.cancel(job.id)
        session.transport.write(b"nobody reads this\n")


def test_a_program_that_is_no_worker_leaves_strays():
    with Session(sys.executable, "-c", "print('no module named x')") as session:
        job = session.client.submit("card", {"model": str(Path("x"))})
        session.until(lambda: job.end is not None, 10)
        assert list(session.client.strays) == ["no module named x"]

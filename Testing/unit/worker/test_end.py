"""A worker never outlives its front end, and a front end never waits for a worker that hangs."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from wire import TOYS, Session

from IncrementalSegLib.wire import client as clients
from IncrementalSegLib.wire import events, requests

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
        session.until(lambda: job.progress is not None and job.progress.phase == "training")
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
        assert time.monotonic() - began < 10


def test_it_ends_when_nobody_speaks_to_it_any_more():
    with Session(*TOYS, "--patience", "2") as session:
        began = time.monotonic()
        assert session.transport.process.wait(60) == 1
        assert time.monotonic() - began > 1.5


@posix
@pytest.mark.parametrize("stderr", ["is read", "is read by nobody"])
def test_it_ends_when_its_output_and_its_log_are_read_by_nobody(stderr):
    """Both pipes are full and stay open; only the end of its input tells that the front end is gone."""
    log = subprocess.PIPE if "nobody" in stderr else subprocess.DEVNULL
    process = subprocess.Popen(TOYS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
    try:
        asked = requests.Request("1", "count", {"name": "x", "steps": 10**7})
        process.stdin.write(requests.encode(asked).encode() + b"\n")
        for number in range(5000):  # each is answered, which fills the pipe
            process.stdin.write(
                b'{"id":"%d","verb":"fail","arguments":{"how":"x"}}\n{"id":"p","verb":"ping"}\n' % number
            )
        process.stdin.flush()
        time.sleep(1.0)
        began = time.monotonic()
        process.stdin.close()
        assert process.wait(20) == 0
        assert time.monotonic() - began < 15
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        if process.stderr:
            process.stderr.close()


def test_a_line_that_is_too_long_is_refused_and_the_next_one_is_done():
    with Session(*TOYS) as session:
        session.until(lambda: session.client.hello is not None)
        peak = _memory(session.transport.process.pid)
        for _ in range(100):
            session.transport.write(b"x" * 2**20)
        session.transport.write(b"\n")
        job = session.do("count", name="after")
        assert job.state == "finished"
        (refusal,) = [event for event in session.seen if isinstance(event, events.Failed)]
        assert "has more than 16777216 bytes" in refusal.what
        assert _memory(session.transport.process.pid) - peak < 60e6


def test_a_front_end_refuses_a_line_that_is_too_long():
    code = "import sys; [sys.stdout.write('x' * 2**20) for _ in range(100)]; print()"
    with Session(sys.executable, "-c", code) as session:
        session.until(lambda: not session.client.alive, 30)
        (stray,) = session.client.strays
        assert stray == "x" * 80
        assert len(session.client._buffer._rest) == 0


def _memory(pid: int) -> int:
    """Return the bytes that a process has used at most; 0 where the system does not tell."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return 0
    return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM"))


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
        job = session.client.submit("summary", {"model": str(Path("x"))})
        session.until(lambda: job.end is not None, 10)
        assert list(session.client.strays) == ["no module named x"]

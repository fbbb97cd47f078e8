"""The panel's worker on a real process: its life, its death, and what it costs the main thread."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from IncrementalSegPanel import WorkerProcess
from IncrementalSegPanel.Worker import Worker
from standin.events import wait

from IncrementalSegLib.errors import WireError
from IncrementalSegLib.wire import events

TOYS = (sys.executable, str(Path(__file__).parents[1] / "fixtures" / "toy_worker.py"))


@pytest.fixture
def toys(tmp_path):
    worker = Worker(tmp_path / "worker.log", TOYS)
    yield worker
    worker.shutdown()


def ask(worker, verb, **arguments):
    """Ask, and return the job and the events that its listener hears."""
    heard = []
    return worker.submit(verb, arguments, heard.append), heard


def ended(*jobs, seconds=30):
    wait(lambda: all(job.end is not None for job in jobs), seconds)


def lives(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_nothing_is_started_before_it_is_needed(toys):
    assert not toys.busy
    assert toys._link is None
    assert toys.lastLines() == ""


def test_each_listener_hears_its_own_job_to_the_end(toys):
    first, one = ask(toys, "count", name="a")
    second, two = ask(toys, "count", name="b")
    assert toys.busy
    ended(first, second)
    assert not toys.busy
    assert [event.job for event in one + two] == ["1"] * len(one) + ["2"] * len(two)
    assert one[-1] == events.Finished("1", {"name": "a"})
    assert two[-1] == events.Finished("2", {"name": "b"})
    assert isinstance(one[0], events.Progressed)


def test_a_failure_brings_its_sentences_and_the_log_its_lines(toys):
    job, heard = ask(toys, "fail", how="division")
    ended(job)
    assert isinstance(heard[-1], events.Failed)
    assert "division by zero" in heard[-1].what
    assert "This scan is odd." in toys.lastLines()
    assert [event.text for event in heard if isinstance(event, events.Warned)] == ["This scan is odd."]


def test_a_wish_ends_a_job_and_the_process_stays(toys):
    job, heard = ask(toys, "keep")
    wait(lambda: job.state == "running", 30)
    toys.cancel(job, "keep")
    ended(job)
    assert heard[-1] == events.Finished("1", {"wish": "keep"})
    toys.cancel(job, "discard")  # too late; nothing happens
    again, _ = ask(toys, "count", name="c")
    ended(again)
    assert len(toys._link.client.jobs) == 2


def test_a_killed_worker_fails_its_jobs_soon_and_the_next_request_starts_another(toys):
    job, heard = ask(toys, "keep")
    waiting, also = ask(toys, "count", name="a")
    wait(lambda: job.state == "running", 30)
    os.kill(toys._link.client.hello.pid, signal.SIGKILL)
    began = time.monotonic()
    ended(job, waiting, seconds=10)
    assert time.monotonic() - began < 5  # the patience with a silent worker is much longer
    assert isinstance(heard[-1], events.Failed)
    assert isinstance(also[-1], events.Failed)
    assert "ended unexpectedly" in heard[-1].what
    again, told = ask(toys, "count", name="b")
    ended(again)
    assert told[-1] == events.Finished("1", {"name": "b"})
    later, _ = ask(toys, "keep")
    waiting.id = later.id  # ids begin anew, and nobody is told about another's
    toys.cancel(waiting, "keep")
    wait(lambda: later.state == "running", 30)
    assert later.wish is None
    toys.cancel(later, "keep")
    ended(later)
    assert isinstance(heard[-1], events.Failed)


def test_a_listener_may_ask_again_when_the_worker_has_died(toys):
    found = []

    def listen(event):
        if isinstance(event, events.Failed):
            found.append(ask(toys, "count", name="again"))

    job = toys.submit("keep", {}, listen)
    wait(lambda: job.state == "running", 30)
    os.kill(toys._link.client.hello.pid, signal.SIGKILL)
    wait(lambda: found and found[0][0].end is not None, 30)
    assert found[0][1][-1].result == {"name": "again"}


def test_a_job_that_does_not_stop_is_ended_with_the_process_behind_the_launcher(tmp_path, monkeypatch):
    monkeypatch.setattr("IncrementalSegLib.wire.client.KILL_AFTER", 0.3)
    launcher = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"  # a kill of it spares the worker
    worker = Worker(tmp_path / "log", (sys.executable, "-c", launcher, *TOYS))
    job, heard = ask(worker, "stubborn", seconds=60)
    wait(lambda: job.state == "running", 30)
    pid = worker._link.client.hello.pid
    assert pid != worker._link.process._process.processId()
    worker.cancel(job, "discard")
    ended(job, seconds=5)
    assert heard[-1] == events.Cancelled("1", kept=False)
    wait(lambda: not lives(pid), 2)
    worker.shutdown()


def test_a_wish_reaches_the_job_that_follows_one_ended_by_force(toys, monkeypatch):
    monkeypatch.setattr("IncrementalSegLib.wire.client.KILL_AFTER", 0.3)
    followed = []

    def listen(event):
        if isinstance(event, events.Cancelled):
            followed.append(ask(toys, "keep"))

    first = toys.submit("stubborn", {"seconds": 60}, listen)
    wait(lambda: first.state == "running", 30)
    toys.cancel(first, "discard")
    wait(lambda: followed and followed[0][0].state == "running", 30)
    job, heard = followed[0]
    toys.cancel(job, "keep")
    ended(job)
    assert heard[-1] == events.Finished(job.id, {"wish": "keep"})


def test_an_idle_worker_is_let_go_and_the_next_request_starts_another(tmp_path):
    now = [0.0]
    worker = Worker(tmp_path / "log", TOYS, idle=600, clock=lambda: now[0])
    job, _ = ask(worker, "count", name="a")
    ended(job)
    pid = worker._link.client.hello.pid
    now[0] = 599
    worker._tick()
    worker._tick()
    assert lives(pid)
    now[0] = 1200
    wait(lambda: worker._link is None)
    wait(lambda: not worker._timer.active, 10)
    assert not lives(pid)
    job, _ = ask(worker, "count", name="b")
    ended(job)
    worker.shutdown()


def test_a_worker_that_works_is_not_idle(tmp_path):
    now = [0.0]
    worker = Worker(tmp_path / "log", TOYS, idle=600, clock=lambda: now[0])
    job, _ = ask(worker, "keep")
    wait(lambda: job.state == "running", 30)
    now[0] = 9999
    worker._tick()
    worker._tick()
    assert worker.busy
    worker.cancel(job, "keep")
    ended(job)
    worker.shutdown()


def test_a_worker_is_not_taken_for_dead_when_slicer_itself_was_busy(toys):
    job, heard = ask(toys, "keep")
    wait(lambda: job.state == "running", 30)
    toys._link.client._dead_after = 1.0
    time.sleep(1.5)  # Slicer loads something
    toys._tick()
    wait(lambda: len(heard) > 5)
    assert job.end is None
    toys.cancel(job, "keep")
    ended(job)


def test_shutdown_lets_a_step_be_paused_and_tells_nobody(toys, tmp_path, monkeypatch):
    monkeypatch.setattr("IncrementalSegPanel.Worker._LEARNING", ("keep",))
    note = tmp_path / "note"
    job, heard = ask(toys, "keep", note=str(note))
    wait(lambda: job.state == "running", 30)
    pid = toys._link.client.hello.pid
    heard.clear()
    toys.shutdown()
    assert note.read_text() == "pause"
    assert not lives(pid)
    assert heard == []


def test_a_worker_that_cannot_be_started_says_so(tmp_path):
    worker = Worker(tmp_path / "log", ("/nowhere/python",))
    found = []
    try:
        worker.submit("count", {"name": "a"}, found.append)
        wait(lambda: found, 5)
        why = found[0].why
    except WireError as error:
        why = error.why
    assert "/nowhere/python cannot be run" in why
    worker.shutdown()


def test_a_worker_of_another_protocol_fails_with_a_sentence(tmp_path):
    hello = events.encode(events.Hello("9.0", events.PROTOCOL + 1, 1)).replace('"', '\\"')
    worker = Worker(tmp_path / "log", (sys.executable, "-c", f'print("{hello}", flush=True); input()'))
    job, heard = ask(worker, "count", name="a")
    ended(job)
    assert isinstance(heard[-1], events.Failed)
    assert "protocol" in f"{heard[-1].what} {heard[-1].why}"
    worker.shutdown()


def test_a_listener_that_raises_does_not_take_the_others_events(toys):
    def bad(event):
        raise RuntimeError("a fault in a page")

    toys.warm()
    heard, link = [], toys._link
    link._listeners |= {"a": bad, "b": heard.append}
    with pytest.raises(RuntimeError):  # Qt prints it and goes on
        link._tell([events.Finished("a"), events.Finished("b")])
    assert heard == []
    link.tick()
    assert heard == [events.Finished("b")]


def test_the_log_keeps_its_last_lines_only(toys, tmp_path):
    (tmp_path / "worker.log").write_text("".join(f"line {number}\n" for number in range(100_000)))
    lines = toys.lastLines().splitlines()
    assert len(lines) == 50
    assert lines[-1] == "line 99999"


def test_the_environment_leads_to_the_library(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    found = dict(item.split("=", 1) for item in WorkerProcess.environment())
    assert found["PYTHONPATH"] == f"{WorkerProcess.LIBRARY}{os.pathsep}elsewhere"
    assert found["OMP_WAIT_POLICY"] == "PASSIVE"
    code = "import IncrementalSegLib.wire"
    subprocess.run([WorkerProcess.python(), "-c", code], env=found, cwd="/", check=True)


def test_slicers_own_python_is_taken_where_it_is(monkeypatch, tmp_path):
    program = tmp_path / "PythonSlicer"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", "/nowhere")
    assert WorkerProcess.python() == sys.executable
    monkeypatch.setenv("PATH", str(tmp_path))
    assert WorkerProcess.python() == str(program)


def test_nobody_waits_for_a_worker_that_does_not_learn(tmp_path):
    worker = Worker(tmp_path / "log", TOYS)
    job, _ = ask(worker, "stubborn", seconds=600)
    wait(lambda: worker._link.client.hello is not None, 30)
    pid, began = worker._link.client.hello.pid, time.monotonic()
    worker.shutdown()
    assert time.monotonic() - began < 60
    assert not lives(pid)
    assert job.end is None

"""The worker as a process: the stream, the order of jobs, wishes and failures; no network is needed for that."""

import os
import signal

import pytest

from IncrementalSegLib.wire import events


def test_it_says_hello_first_and_answers_pings(toys):
    toys.until(lambda: toys.client.hello is not None)
    assert toys.seen[0] == events.Hello("0.1.0", events.PROTOCOL, toys.transport.process.pid)
    beats = len([event for event in toys.seen if isinstance(event, events.Heartbeat)])
    toys.transport.write(b'{"id":"p","verb":"ping"}\n')
    toys.until(lambda: len([event for event in toys.seen if isinstance(event, events.Heartbeat)]) > beats, 5)


def test_what_a_library_prints_does_not_break_the_stream(toys):
    job = toys.do("noisy")
    assert job.end == events.Finished(job.id, {"read": ""})
    assert list(toys.client.strays) == []


def test_jobs_are_done_in_order(toys):
    first, second = (toys.client.submit("count", {"name": name, "steps": 50, "pause": 0.005}) for name in "ab")
    toys.until(lambda: second.end is not None)
    order = [event.job for event in toys.seen if getattr(event, "job", None) in (first.id, second.id)]
    assert order == [first.id] * order.count(first.id) + [second.id] * order.count(second.id)
    assert (first.end.result, second.end.result) == ({"name": "a"}, {"name": "b"})
    progress = toys.of(first, events.Progressed)
    assert (progress[0].phase, progress[1].phase) == ("starting", "Counting")
    assert len(toys.of(first, events.Metric)) <= 5


@pytest.mark.parametrize(
    ("verb", "arguments", "said"),
    [
        ("cuont", {}, "Did you mean 'count'?"),
        ("count", {}, "The request count lacks 'name'. It takes name, steps, pause."),
        ("count", {"nome": "a"}, "There is no argument of count called 'nome'. Did you mean 'name'?"),
        ("count", {"name": "a", "progress": 1}, "There is no argument of count called 'progress'."),
        ("count", {"name": "a", "steps": "many"}, "steps='many' of count cannot be used"),
        ("fail", {"how": "memory"}, "The memory of the GPU ran out."),
        ("fail", {"how": "zero"}, "ZeroDivisionError: division by zero. This is a fault of the program."),
        ("fail", {"how": "exit"}, "SystemExit: 3."),
    ],
)
def test_a_job_that_fails_says_why_and_the_worker_lives(toys, verb, arguments, said):
    job = toys.do(verb, **arguments)
    assert job.state == "failed"
    assert said in " ".join(filter(None, (job.end.what, job.end.why, job.end.todo)))
    assert "Traceback" in job.end.report
    assert "Traceback" not in job.end.what + job.end.why + job.end.todo
    assert toys.do("count", name="after").state == "finished"


def test_warnings_of_the_library_belong_to_the_job_and_to_the_report(toys):
    job = toys.do("fail", how="zero")
    assert job.end.kind == "IncrementalSegError"
    assert toys.do("fail", how="memory").end.kind == "NoMemoryError"
    assert toys.of(job, events.Warned) == [events.Warned(job.id, "This scan is odd.")]
    assert "WARNING IncrementalSegLib.toy: This scan is odd." in job.end.report


def test_lines_that_are_no_request_are_answered(toys):
    for line, said in ((b"hello", "not JSON"), (b'{"id":"x","verb":"cancel","arguments":{"wish":"stop"}}', "'stop'")):
        before = len(toys.seen)
        toys.transport.write(line + b"\n\n")
        toys.until(lambda start=before: any(isinstance(event, events.Failed) for event in toys.seen[start:]))
        (failure,) = (event for event in toys.seen[before:] if isinstance(event, events.Failed))
        assert said in failure.what
    assert toys.do("count", name="after").state == "finished"


@pytest.mark.parametrize(("wish", "kept"), [("discard", False), ("pause", True)])
def test_a_running_job_is_cancelled_and_one_that_waits_with_it(toys, wish, kept):
    running = toys.client.submit("count", {"name": "long", "steps": 10**6, "pause": 0.01})
    waiting = toys.client.submit("count", {"name": "never"})
    toys.until(lambda: running.progress is not None and running.progress.phase == "Counting")
    toys.client.cancel(waiting.id)
    toys.until(lambda: waiting.end is not None, 1)
    assert running.end is None
    toys.client.cancel(running.id, wish)
    toys.until(lambda: running.end is not None, 5)
    assert running.end == events.Cancelled(running.id, kept)
    assert toys.of(waiting, events.Progressed, events.Finished) == []
    assert [type(event) for event in toys.of(running, events.Cancelling, events.Cancelled)] == [
        events.Cancelling,
        events.Cancelled,
    ]
    toys.client.cancel(running.id)  # it has ended: nothing happens
    assert toys.do("count", name="after").state == "finished"


def test_what_shall_be_kept_goes_on_to_its_end(toys):
    job = toys.client.submit("keep")
    toys.until(lambda: job.progress is not None and job.progress.phase == "training")
    toys.client.cancel(job.id, "keep")
    toys.until(lambda: job.end is not None, 5)
    assert job.end == events.Finished(job.id, {"wish": "keep"})
    assert toys.of(job, events.Progressed)[-1].phase == "saving"


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_is_for_the_front_end_to_judge(toys):
    os.kill(toys.transport.process.pid, signal.SIGINT)
    assert toys.do("count", name="after").state == "finished"

import pytest
from hypothesis import given
from hypothesis import strategies as st

from IncrementalSegLib.errors import WireError
from IncrementalSegLib.wire import events, requests
from IncrementalSegLib.wire.client import DEAD_AFTER, KILL_AFTER, PING_EVERY, Client


class World:
    """A client, what it sent, whether it killed, and the time."""

    def __init__(self):
        self.now, self.sent, self.killed = 100.0, [], 0
        self.client = Client(self, lambda: self.now)

    def write(self, data):
        self.sent.append(requests.decode(data.decode()))

    def kill(self):
        self.killed += 1

    def say(self, *said):
        return self.client.feed("".join(f"{events.encode(event)}\n" for event in said).encode())

    def wait(self, seconds):
        self.now += seconds
        return self.client.tick()


@pytest.fixture
def world():
    return World()


def test_what_was_estimated_goes_with_the_request(world):
    job = world.client.submit("learn", {"model": "m"}, {"learning": 90.5})
    assert world.sent == [requests.Request(job.id, "learn", {"model": "m"}, {"learning": 90.5})]


def test_a_job_goes_from_asked_to_finished(world):
    job = world.client.submit("segment", {"model": "m"})
    assert world.sent == [requests.Request(job.id, "segment", {"model": "m"})]
    assert job.state == "waiting"
    world.say(events.Hello("1", 1, 5), events.Progressed(job.id, "starting", 0.0))
    assert (job.state, job.progress.phase, world.client.hello.pid) == ("running", "starting", 5)
    end = events.Finished(job.id, {"outputs": []})
    assert world.say(end, events.Failed(job.id, "too late")) == [end, events.Failed(job.id, "too late")]
    assert (job.state, job.end) == ("finished", end)


def test_what_is_not_an_event_does_not_break_the_stream(world):
    job = world.client.submit("segment")
    data = b'Downloading\xff 3 %\n{"event":"progress","job":null}\n' + events.encode(events.Finished(job.id)).encode()
    assert world.client.feed(data) == []
    assert world.client.feed(b"\n") == [events.Finished(job.id)]
    assert len(world.client.strays) == 2


@given(st.binary(max_size=300), st.integers(0, 400))
def test_any_garbage_before_a_line_leaves_the_line(garbage, cut):
    client = World().client
    data = garbage + b"\n" + events.encode(events.Cancelling("1")).encode() + b"\n"
    assert events.Cancelling("1") in [*client.feed(data[:cut]), *client.feed(data[cut:])]


def test_pings_go_out_and_a_silent_worker_is_dead(world):
    job = world.client.submit("segment")
    ended = world.client.submit("summary")
    world.say(events.Finished(ended.id))
    for _ in range(int(DEAD_AFTER / PING_EVERY) - 1):
        assert world.wait(PING_EVERY) == []
    assert [request.verb for request in world.sent].count("ping") == DEAD_AFTER - 1
    world.say(events.Heartbeat())
    assert world.wait(DEAD_AFTER - 1) == []
    (failure,) = world.wait(1)
    assert (world.killed, world.client.alive) == (1, False)
    assert failure.job == job.id
    assert "sent nothing for 60 s" in failure.what
    assert (job.state, ended.state) == ("failed", "finished")
    with pytest.raises(WireError, match="sent nothing for 60 s"):
        world.client.submit("segment")
    assert world.wait(1000) == []


def test_garbage_is_no_sign_of_life(world):
    world.client.submit("segment")
    world.now += DEAD_AFTER
    world.client.feed(b"still printing\n")
    assert world.client.tick() != []


@pytest.mark.parametrize(("wish", "kept"), [("discard", False), ("pause", True)])
def test_a_job_that_does_not_stop_is_ended_by_force(world, wish, kept):
    job, other = world.client.submit("learn"), world.client.submit("segment")
    world.client.cancel(job.id, wish)
    assert world.sent[-1].arguments == {"job": job.id, "wish": wish}
    world.say(events.Progressed(job.id, "training", 0.1), events.Cancelling(job.id))
    assert job.state == "cancelling"
    assert world.wait(KILL_AFTER - 0.1) == []
    assert world.killed == 0
    found = world.wait(0.2)
    assert world.killed == 1
    assert found[0] == events.Cancelled(job.id, kept)
    assert isinstance(found[1], events.Failed)
    assert (job.state, other.state) == ("cancelled", "failed")


def test_a_job_that_stops_in_time_ends_nothing_else(world):
    job = world.client.submit("learn")
    world.client.cancel(job.id, "pause")
    world.say(events.Cancelling(job.id), events.Cancelled(job.id, kept=True))
    assert world.wait(KILL_AFTER + 1) == []
    assert (world.killed, job.state) == (0, "cancelled")
    world.client.cancel(job.id)  # too late: nothing is sent
    assert world.sent[-1].verb == "ping"


def test_what_shall_be_kept_is_never_ended_by_force_until_the_wish_changes(world):
    job = world.client.submit("learn")
    world.client.cancel(job.id, "keep")
    world.say(events.Cancelling(job.id))
    assert world.wait(KILL_AFTER * 2) == []
    world.client.cancel(job.id, "discard")
    assert world.wait(KILL_AFTER - 0.1) == []
    assert len(world.wait(0.2)) == 1
    assert world.killed == 1


def test_a_process_that_ended_ends_its_jobs(world):
    job = world.client.submit("learn")
    (failure,) = world.client.closed()
    assert failure.job == job.id
    assert "last checkpoint" in failure.todo
    assert world.client.closed() == []


@pytest.mark.parametrize(("protocol", "side"), [(events.PROTOCOL + 1, "newer"), (events.PROTOCOL - 1, "older")])
def test_a_worker_of_another_protocol_is_ended_and_said(world, protocol, side):
    job = world.client.submit("segment")
    hello, failure = world.say(events.Hello("9.0", protocol, 5), events.Finished(job.id))
    assert (world.killed, world.client.alive, job.state) == (1, False, "failed")
    assert hello == world.client.hello
    assert f"speaks protocol {protocol}" in failure.what
    assert side in failure.why
    assert "same version" in failure.todo
    assert world.wait(1000) == world.client.closed() == []
    with pytest.raises(WireError, match=f"speaks protocol {protocol}"):
        world.client.submit("segment")

"""The worker takes the normal priority where the system lets it, and says where it does not."""

import json
import os
import subprocess
import sys

import pytest

from IncrementalSegLib.engine.process import low_priority

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="nice values are those of Unix")

_TAKE = """
import os
from IncrementalSegLib.engine.process import low_priority, take_normal_priority
os.nice(10)
if {user}: os.setuid(65534)
take_normal_priority()
print(low_priority(), os.getpriority(os.PRIO_PROCESS, 0))
"""


def run(user):
    done = subprocess.run([sys.executable, "-c", _TAKE.format(user=user)], capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.split()]


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="needs the right to raise a priority")
def test_a_low_priority_that_was_inherited_is_given_up():
    assert run(user=0) == [0, 0]


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="needs another user")
def test_where_that_is_not_allowed_it_stays_and_is_told():
    low, nice = run(user=1)
    assert low == nice >= 10


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="needs the right to raise a priority")
def test_a_worker_of_a_slicer_with_low_priority_has_the_normal_one():
    command = [sys.executable, "-m", "IncrementalSegLib.worker"]
    low = {"preexec_fn": lambda: os.nice(19)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **low) as worker:
        pid = json.loads(worker.stdout.readline())["pid"]
        assert os.getpriority(os.PRIO_PROCESS, pid) == 0
        worker.stdin.close()
        worker.kill()


def test_here_it_is_what_the_system_says():
    assert low_priority() == max(0, os.getpriority(os.PRIO_PROCESS, 0))

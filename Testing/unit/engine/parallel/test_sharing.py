"""Several processes that train together: real ones, on the CPU."""

import pytest
from every_method import METHODS
from ranks import DEEP, ask

pytestmark = pytest.mark.timeout(400)  # the processes load torch, on cores that others may use

FEW = ("lwfseg", "replay", "pcdd", "clis")
"""Heads, exemplars with labels, class means over the batch, and kernels that are drawn once for a batch."""

SUPERVISED = f"{DEEP}lwfseg"
"""Coarser levels of a decoder, which learn labels of the whole batch."""

TRAINED = ("lwfseg", "pcdd")

NEAR = {"gradients": 1e-3, "terms": 2e-5, "running": 2e-5}
"""Single precision rounds by up to 1.4e-4 of a gradient; statistics, masks or shares of one process alone change it by
more than 0.05."""


@pytest.fixture(scope="module")
def answers():
    return ask(
        2,
        "messages",
        "exemplars",
        f"gradients:2,{','.join((*FEW, SUPERVISED))}",
        *(f"training:{name},20" for name in TRAINED),
    )


def test_what_processes_tell_each_other(answers):
    for rank, (found, *_) in enumerate(answers):
        assert found["rows"] == [[0, 3], [3, 5]][rank]
        assert found["told"] == {"from": 0}
        assert found["collected"] == [[item] for item in range(7)]
        assert found["joined"]
        assert found["given"] == [{"rank": 0}, [[0.0, 0.0], [0.0, 0.0]]]
        assert found["wish"] == "keep", "who leads is stopped, and all stop"
        assert "A batch of 1 cannot be shared out among 2 devices." in found["refused"]


def test_exemplars_are_scored_by_all_and_the_same_are_chosen(answers):
    alone, shares = [4, 4, 4, 4, 2], [[4, 4, 2], [4, 4]]
    for rank, (_, found, *_) in enumerate(answers):
        assert found["same"]
        assert found["passes"] == [*alone, *shares[rank]]


@pytest.mark.parametrize("name", [*FEW, SUPERVISED])
def test_gradients_are_those_of_one_process(answers, name):
    for found in answers:
        assert not far(found[2][name]), found[2][name]


@pytest.mark.parametrize("number", range(len(TRAINED)), ids=TRAINED)
def test_twenty_steps_end_with_the_weights_of_one_process(answers, number):
    one, other = (found[3 + number] for found in answers)
    assert one["apart"] < 1e-9
    assert one["digest"] == other["digest"], "all processes hold the same bits"


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("dimension", [2, 3])
def test_gradients_of_every_method_are_those_of_one_process(dimension):
    for (answer,) in ask(3, f"gradients:{dimension},{','.join(METHODS)}"):
        assert set(answer) == set(METHODS)
        assert {name: found for name, found in answer.items() if far(found)} == {}


def far(found):
    """Return where a batch does not have the gradients, terms and running statistics of one process."""
    return {kind for kind, apart in found.items() if not apart < NEAR[kind]}

import pytest

from IncrementalSegLib.cli.output import progress_bar

STEP = [("reading", 0.5), ("reading", 1.0), ("training", 0.25), ("loading", 0.0), ("training", 1.0), ("saving", 0.0)]


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "200")


def test_a_log_gets_one_line_per_phase(capsys):
    with progress_bar("learn") as progress:
        for phase, fraction in STEP:
            progress(phase, fraction)
    assert capsys.readouterr().err.splitlines() == ["Reading ...", "Learning ...", "Saving ..."]


def test_the_bar_is_that_of_the_whole_job_with_about_the_time_left(terminal, capsys):
    with progress_bar("learn") as progress:
        for phase, fraction in [("reading", 0.5), ("training", 0.0), ("training", 0.5), ("loading", 0.0)]:
            progress(phase, fraction)
    said = capsys.readouterr().err
    assert "Learning" in said
    assert "46 % a few seconds left" in said

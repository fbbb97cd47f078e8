"""The words of the panel are those of the command line."""

import pytest
from IncrementalSegPanel.Wording import phaseWords

from IncrementalSegLib.progress import Phase, phrase


@pytest.mark.parametrize("phase", Phase)
def test_phases_are_called_as_on_the_command_line(phase):
    assert phaseWords(phase) == phrase(phase)

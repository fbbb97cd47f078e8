"""What the panel says of an error, in its own words."""

from IncrementalSegPanel.Failure import Failure

from IncrementalSegLib.errors import CommandRef, DeviceError, Hint, OptionRef
from IncrementalSegLib.wire import events


def test_options_and_commands_are_called_as_the_controls_are():
    todo = Hint(
        "Use ", OptionRef("device", "cpu"), ", see ", CommandRef("doctor"), ", or leave ", OptionRef("network"), " out."
    )
    error = DeviceError("No CUDA GPU can be used.", "No driver was found.", todo)
    said = "Use “Device: cpu”, see “Copy report”, or leave “Network” out."
    assert Failure.of(error).todo == said
    assert Failure.of(events.decode(events.encode(events.Failed.of("1", error)))).todo == said


def test_what_the_panel_has_no_control_for_is_called_as_in_python():
    error = DeviceError("It is there.", todo=Hint("Add ", OptionRef("accept_grid", True), "."))
    assert Failure.of(error).todo == "Add accept_grid=True."

import logging

from IncrementalSegLib.worker.log import VisibleFormatter


def test_what_steers_a_terminal_is_written_out_and_the_record_stays_as_it_is():
    record = logging.LogRecord("here", logging.WARNING, "", 0, "structure %s\nof %d", ("\x1b[31mliver", 2), None)
    assert VisibleFormatter("%(levelname)s %(message)s").format(record) == "WARNING structure \\x1b[31mliver\nof 2"
    assert record.args == ("\x1b[31mliver", 2)
    assert record.getMessage() == "structure \x1b[31mliver\nof 2"

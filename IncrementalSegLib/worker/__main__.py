"""``python -m IncrementalSegLib.worker``: requests in, JSON lines out; the protocol is in docs/wire.md."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys

from IncrementalSegLib.engine.process import take_normal_priority, tune_process
from IncrementalSegLib.worker.channel import Channel
from IncrementalSegLib.worker.log import VisibleFormatter
from IncrementalSegLib.worker.server import PATIENCE, Server


def main() -> None:
    """Serve the front end that started this process."""
    parser = argparse.ArgumentParser(prog="IncrementalSegLib.worker", description=__doc__)
    parser.add_argument("--patience", type=int, default=PATIENCE, help="seconds of silence after which it ends")
    options = parser.parse_args()
    take_normal_priority()
    tune_process()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in a terminal is for the front end to judge
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(VisibleFormatter("%(levelname)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("IncrementalSegLib").setLevel(logging.INFO)
    Server(Channel(), options.patience).run()
    os._exit(0)  # neither a job that does not stop nor a log that nobody reads may keep the process


if __name__ == "__main__":
    main()

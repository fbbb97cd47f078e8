"""The wire between a front end and the worker: one JSON object per line, standard library only."""

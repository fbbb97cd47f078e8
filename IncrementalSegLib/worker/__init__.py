"""The process that a front end drives: ``python -m IncrementalSegLib.worker``."""

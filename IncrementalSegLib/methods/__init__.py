"""One file per method; README.md says how to add one."""

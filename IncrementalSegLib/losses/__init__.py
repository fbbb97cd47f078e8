"""Terms of a training loss, each usable alone."""

"""One step: what is asked, the scans, the training, and what is left at its end."""

"""What is asked before a step: which method, how long, how much memory."""

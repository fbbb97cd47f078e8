"""Class-incremental protocols N1-N2 of the softmax family: every method in the tables of PCDD."""

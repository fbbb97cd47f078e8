"""What patient-derived data a model holds, and how it is deleted."""

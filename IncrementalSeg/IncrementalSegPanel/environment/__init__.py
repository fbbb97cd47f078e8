"""The worker's requirements on this computer, and their installation."""

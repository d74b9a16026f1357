"""Faults of the kernel driver, and what of it was given to the container."""

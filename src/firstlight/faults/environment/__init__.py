"""Faults of the variables and limits of this process."""

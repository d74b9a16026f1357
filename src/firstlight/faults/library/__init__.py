"""Faults of the user-mode driver's files."""

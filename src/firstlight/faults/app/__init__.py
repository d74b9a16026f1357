"""Faults of the app itself: what its start lacks, and what it tells by its lines and its end."""

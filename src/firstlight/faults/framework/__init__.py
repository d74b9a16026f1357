"""Faults of what the app's framework asks of the driver."""

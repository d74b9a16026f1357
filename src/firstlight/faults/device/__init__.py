"""Faults of the device nodes."""

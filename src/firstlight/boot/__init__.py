"""The cold start itself: probe, diagnose, prescribe, do, repeat."""

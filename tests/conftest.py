"""What holds for all tests."""

from hypothesis import HealthCheck, settings

# Other work on the machine makes any example slow to draw and to run, and no time may fail a test.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

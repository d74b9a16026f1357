"""firstlight: CUDA that works on every cold start. This file stays empty of imports: every child pays for it."""

__version__ = "0.1.0"

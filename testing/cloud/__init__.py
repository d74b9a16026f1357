"""A RunPod cloud on localhost. Never shipped."""

"""RunPod's REST API v2."""

"""Pods from outside: configured, tested, moved off a broken host, and never forgotten. The core of a boot never imports it."""

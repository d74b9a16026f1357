"""The only door to the machine: files under a root, children, signals, the clock.

Everything in here is imported before the first probe runs, so it keeps to modules that cost next to nothing
(no dataclasses, enum, typing, json or logging), and ctypes is loaded when it is first needed.
"""

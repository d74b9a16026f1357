"""Find the PyTorch that fits this machine, and put it into an environment without breaking what works."""

# Verb, what it does. In the order in which a newcomer meets them.
VERBS = (
    ("check", "say which build of PyTorch fits this machine, and why"),
    ("upgrade", "make an environment with another PyTorch, prove it, and put it into the place of the old one"),
    ("rollback", "put the environment of before back into its place"),
)

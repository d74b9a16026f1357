"""Configure, test, watch and move pods from outside, through RunPod's API."""

# Verb, what it does. In the order in which a newcomer meets them.
VERBS = (
    ("list", "list the account's pods"),
    ("verify", "prove that a pod came up, from its status to CUDA in an SSH session"),
)

"""Configure, test, watch and move pods from outside, through RunPod's API."""

# Verb, what it does. In the order in which a newcomer meets them.
VERBS = (
    ("list", "list the account's pods, and what they cost"),
    ("start", "start stopped pods"),
    ("stop", "stop running pods: they keep their volumes, and give their GPUs back"),
    ("logs", "print a pod's log, and follow it"),
)

"""Configure, test, watch and move pods from outside, through RunPod's API."""

# Verb, what it does. In the order in which a newcomer meets them.
VERBS = (
    ("list", "list the account's pods, and what they cost"),
    ("start", "start stopped pods"),
    ("stop", "stop running pods: they keep their volumes, and give their GPUs back"),
    ("logs", "print a pod's log, and follow it"),
    ("configure", "make firstlight the start command of a pod or a template"),
    ("restore", "put back what a pod or a template had before that"),
    ("verify", "prove that a pod came up, from its status to CUDA in an SSH session"),
    ("test", "test cold starts: how many come up, how fast, and what goes wrong with the others"),
    ("watch", "watch pods: tell what becomes of them, and move those off a broken host where that is wanted"),
    ("relocate", "move a pod off a broken host: order one like it, prove it, terminate the old one"),
    ("sweep", "show what interrupted tests and moves still owe to the account, and do it"),
)

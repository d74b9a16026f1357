"""Configure, test, watch and move pods from outside, through RunPod's API."""

# Verb, what it does. In the order in which a newcomer meets them.
VERBS = (
    ("list", "list the account's pods"),
    ("configure", "make firstlight the start command of a pod or a template"),
    ("restore", "put back what a pod or a template had before that"),
)

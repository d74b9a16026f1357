"""HTML and its looks, for the status page and for reports: one family. Pure."""

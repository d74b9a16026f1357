"""PyTorch in a virtual environment: which build fits this machine, and a way to change it that never breaks what works."""

"""What is true of this machine's GPU stack; no judgement here."""

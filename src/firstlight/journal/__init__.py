"""The journal: what happened in a boot, as it happened. The boot writes it; everything else only reads it."""
